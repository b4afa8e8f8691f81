package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/conntally/conntally/cmd/internal/tomlfile"
)

// FuzzParse: whatever a file holds, it is refused with lines that say where, or what
// it gives is within the limits.
func FuzzParse(f *testing.F) {
	reference, err := os.ReadFile("reference.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(reference)
	f.Add([]byte(strings.ReplaceAll(string(reference), "\n#", "\n")))
	f.Add([]byte("collector=[{address='a:1'},{}]\nflow.nat='wire'\n[flow]\nx.y=1"))
	f.Add([]byte("[[filter]]\naction='include'\nmarks=[\"0x1/0xf\",1]\nports=[1,'2-3']\n[[filter]]\nnetworks=['::/0']"))
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

// checkMessage: each line names the file and one of its lines, and is fit to print.
func checkMessage(t *testing.T, message string, lines int) {
	for said := range strings.SplitSeq(message, "\n") {
		var line int
		if strings.HasPrefix(said, "f.toml: and ") {
			continue
		}
		if _, err := fmt.Sscanf(said, "f.toml:%d: ", &line); err != nil || line < 1 || line > lines {
			t.Errorf("no line within the file: %q", said)
		}
		if strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) || len(said) > 1000 {
			t.Errorf("unfit to print: %q", said)
		}
	}
}

func checkLimits(t *testing.T, c *Config) {
	within := func(d Duration) bool { return Duration(time.Millisecond) <= d && d <= Duration(maxDuration) }
	if !within(c.Flow.ActiveTimeout) || !within(c.Flow.IdleTimeout) || c.Poll() <= 0 {
		t.Errorf("durations: %+v %+v", c.Flow, c.Conntrack)
	}
	if c.Flow.MaxFlows < 0 || !(c.Conntrack.MaxCPU > 0 && c.Conntrack.MaxCPU <= 100) || c.Conntrack.ReceiveBuffer < 1 || c.Conntrack.ReceiveBuffer > 1<<30 {
		t.Errorf("numbers: %+v %+v", c.Flow, c.Conntrack)
	}
	for _, cc := range c.Collectors {
		if cc.Address == "" || cc.MaxDatagram < 512 || cc.MaxDatagram > 65507 {
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
