package config

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/conntally/conntally/cmd/internal/tomlfile"
)

// FuzzParse proves that any file is either refused with printable problems, or decoded to
// values within their limits.
func FuzzParse(f *testing.F) {
	reference, err := os.ReadFile("reference.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reference)
	f.Add([]byte(strings.ReplaceAll(string(reference), "\n#", "\n")))
	f.Add([]byte("collector=[{address='a:1'},{}]\nflow.nat='wire'\n[flow]\nx.y=1"))
	f.Add([]byte("[[collector]]\naddress='a:1'\ninterface='wg0'\ntemplate_interval='5m'\n" +
		"[[collector]]\naddress='a:2'\nvrf='blue'"))
	f.Add([]byte("[[filter]]\naction='include'\nmarks=[\"0x1/0xf\",1]\nports=[1,'2-3']\n" +
		"[[filter]]\nnetworks=['::/0']"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := Default()
		if err := tomlfile.Decode("f.toml", data, c); err != nil {
			checkMessage(t, err.Error(), 1+strings.Count(string(data), "\n"))
			return
		}
		checkLimits(t, c)
		if len(c.Rules()) != len(c.Filters) {
			t.Error("a filter is missing")
		}
	})
}

// checkMessage checks that each line names the file, has one of its lines or a place without
// one, and is printable.
func checkMessage(t *testing.T, message string, lines int) {
	for problem := range strings.SplitSeq(message, "\n") {
		rest, named := strings.CutPrefix(problem, "f.toml:")
		number, _, _ := strings.Cut(rest, ":")
		if line, err := strconv.Atoi(number); err == nil && (line < 1 || line > lines) {
			t.Errorf("no line of the file: %q", problem)
		}
		unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
		if !named || strings.ContainsFunc(problem, unprintable) || len(problem) > 1000 {
			t.Errorf("unprintable: %q", problem)
		}
	}
}

func checkLimits(t *testing.T, c *Config) {
	within := func(d Duration) bool {
		return Duration(time.Millisecond) <= d &&
			d <= Duration(maxDuration)
	}
	if !within(c.Flow.ActiveTimeout) || !within(c.Flow.IdleTimeout) || c.Poll() <= 0 {
		t.Errorf("durations: %+v %+v", c.Flow, c.Conntrack)
	}
	if c.Flow.MaxFlows < 0 || !(c.Conntrack.MaxCPU > 0 && c.Conntrack.MaxCPU <= 100) ||
		c.Conntrack.ReceiveBuffer < 1 || c.Conntrack.ReceiveBuffer > 1<<30 {
		t.Errorf("numbers: %+v %+v", c.Flow, c.Conntrack)
	}
	for _, cc := range c.Collectors {
		if cc.Address == "" || cc.MaxDatagram < 512 || cc.MaxDatagram > 65507 {
			t.Errorf("collector: %+v", cc)
		}
		if cc.Interface != "" && cc.VRF != "" || len(cc.Interface+cc.VRF) > 15 ||
			time.Duration(cc.TemplateInterval) < time.Second ||
			time.Duration(cc.TemplateInterval) > maxDuration {
			t.Errorf("collector: %+v", cc)
		}
	}
	for _, f := range c.Filters {
		for _, p := range append(f.Ports, f.DestinationPorts...) {
			if p.First > p.Last {
				t.Errorf("ports: %+v", p)
			}
		}
		for _, m := range f.Marks {
			if m.Value&^m.Mask != 0 {
				t.Errorf("mark: %+v", m)
			}
		}
	}
}
