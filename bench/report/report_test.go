package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/measure"
	"github.com/conntally/conntally/bench/result"
)

var update = flag.Bool("update", false, "write the golden files again")

// suite has invented figures for every part of a report, a failed run and a skipped
// point among them.
func suite() *result.Suite {
	s := &result.Suite{
		Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Machine: measure.Machine{CPU: "Some CPU", Cores: 4, Memory: 8 << 30, Kernel: "6.1.2",
			System: "Debian", Arch: "arm64",
			Max: 262_144, Buckets: 65_536},
		Programs: []result.Program{
			{Name: result.Ours, Version: "v1", Export: "IPFIX", Command: "conntally run",
				Why: "As it comes."},
			{Name: result.Rival, Version: "1.1.0", Export: "NetFlow v9", Captures: true,
				Command: "softflowd -i lan0", Why: "It fits."},
			{Name: "ulogd2", Version: "2.0.8", Export: "IPFIX", Command: "ulogd -c DIR/ulogd.conf",
				Why: "Cheap."},
		},
		Scenarios: []result.Scenario{
			{Name: result.Bulk, Title: "Bulk traffic", Unit: "packets/s", About: "flows that go on",
				Points: []int{20_000, 50_000, 200_000}},
			{Name: result.PerFlow, Title: "Packets per flow", Unit: "packets/flow",
				About: "ever new flows", Points: []int{1, 10, 100}},
			{Name: result.NewFlows, Title: "New flows", Unit: "flows/s", About: "ever more flows",
				Points: []int{1000}},
			{Name: result.Table, Title: "Connections that rest", Unit: "connections",
				About: "none moves", Points: []int{1000, 250_000}},
			{Name: result.Home, Title: "A busy household", Unit: "connections", About: "all sorts",
				Points: []int{3000}},
			{Name: result.Stalls, Title: "Stalls", Unit: "connections", About: "how long",
				Points: []int{0, 2000}},
			{Name: result.Saturation, Title: "As much as goes", Unit: "flows", About: "all cores",
				Points: []int{2000}},
		},
		Skipped: []string{"table 1,000,000: too many"},
	}
	for _, sc := range s.Scenarios {
		for _, x := range sc.Points {
			for repeat := 1; repeat <= 3; repeat++ {
				for i, name := range []string{result.None, result.Ours, result.Rival, "ulogd2"} {
					s.Runs = append(s.Runs, invented(sc.Name, x, repeat, i, name))
				}
			}
		}
	}
	s.Runs[1].Error = "conntally has ended: before it was stopped; its output:\nmuch"
	return s
}

func invented(scenario string, x, repeat, i int, name string) result.Run {
	r := result.Run{
		Scenario: scenario, X: x, Program: name, Repeat: repeat, Window: 10 * time.Second,
		CPU:  time.Duration(i*i*x/repeat) * 10 * time.Microsecond,
		Busy: time.Duration(100+10*i+repeat) * 10 * time.Millisecond, Peak: (10 + i) << 20,
		Forwarded: result.Sum{Packets: uint64(900_000 - 100_000*i), Bytes: 1e9},
		Router:    result.Sum{Packets: 1_000_000, Bytes: 700_000_000}, Flows: 2000,
		Collected: result.Collected{
			Octets: 5000, Sum: result.Sum{Packets: 1_000_000, Bytes: 700_000_000}, Flows: 2000,
			Exact: 2000,
		},
		Delay: &result.Delay{
			Flows: 2000, Median: time.Second, P95: 2 * time.Second,
			Most: time.Duration(i) * time.Minute,
		},
	}
	if name == result.Rival {
		r.Collected.Sum.Packets -= uint64(x)
		r.Collected.Exact -= 7
		r.Missed = &result.Missed{Count: 12, Unit: "packets"}
	}
	r.Collected.Merged = name == "ulogd2"
	if scenario == result.Stalls {
		r.Stall = time.Duration(700+100*i+x/10+repeat) * time.Microsecond
	}
	return r
}

// TestGolden holds the report, its table and one picture. To change them:
// go test ./bench/report -update
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	if err := Write(suite(), dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{File, Table, "bulk-program.svg"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not as in testdata:\n%s", name, got)
		}
	}
}

// TestPictures: all are there, each XML with a title and a line for each program that
// took part; and the report shows all.
func TestPictures(t *testing.T) {
	dir := t.TempDir()
	if err := Write(suite(), dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, File))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pictures() {
		b, err := os.ReadFile(filepath.Join(dir, p.file))
		if err != nil {
			t.Fatal(err)
		}
		if err := wellFormed(b); err != nil {
			t.Errorf("%s: %v", p.file, err)
		}
		for _, word := range []string{p.chart.title, result.Ours, result.Rival, "ulogd2"} {
			if !bytes.Contains(b, []byte(word)) {
				t.Errorf("%s doesn't say %q", p.file, word)
			}
		}
		if bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
			t.Errorf("%s has a place that is none:\n%s", p.file, b)
		}
		if !bytes.Contains(text, []byte("("+p.file+")")) {
			t.Errorf("the report doesn't show %s", p.file)
		}
	}
}

func wellFormed(b []byte) error {
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		if _, err := d.Token(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// TestNothing: a report of nothing, and of one run, is one all the same.
func TestNothing(t *testing.T) {
	whole := suite()
	for _, s := range []*result.Suite{{}, {Scenarios: whole.Scenarios, Programs: whole.Programs}, {
		Scenarios: whole.Scenarios, Programs: whole.Programs, Runs: whole.Runs[:2],
	}} {
		var b bytes.Buffer
		Markdown(&b, s)
		Summary(&b, s)
		if strings.Contains(b.String(), "NaN") {
			t.Errorf("%s", b.String())
		}
		if err := Write(s, t.TempDir()); err != nil {
			t.Error(err)
		}
	}
}

func TestAxis(t *testing.T) {
	for name, test := range map[string]struct {
		values []float64
		log    bool
		ticks  []float64
		labels string
	}{
		"linear": {
			[]float64{0.5, 23, math.NaN()}, false, []float64{0, 5, 10, 15, 20, 25},
			"0 5 10 15 20 25",
		},
		"logarithmic": {
			[]float64{0.02, 7}, true, []float64{0.01, 0.1, 1, 10}, "0.01 0.1 1 10",
		},
		"with a zero": {
			[]float64{0, 0.02, 70}, true, []float64{0.001, 0.01, 0.1, 1, 10, 100},
			"0 0.01 0.1 1 10 100",
		},
		"nothing but zero": {[]float64{0}, true, []float64{0.01, 0.1, 1}, "0 0.1 1"},
	} {
		a := newAxis(test.values, test.log, 100, 0)
		got := a.ticks()
		var labels []string
		for i, v := range got {
			labels = append(labels, a.label(v))
			if i >= len(test.ticks) || math.Abs(v-test.ticks[i]) > 1e-9 {
				t.Errorf("%s: ticks %v", name, got)
				break
			}
		}
		if strings.Join(labels, " ") != test.labels {
			t.Errorf("%s: labels %q", name, labels)
		}
		if a.at(got[0]) != 100 || math.Abs(a.at(got[len(got)-1])) > 1e-9 {
			t.Errorf("%s: from %v to %v", name, a.at(got[0]), a.at(got[len(got)-1]))
		}
	}
}

func TestDigits(t *testing.T) {
	for v, want := range map[float64]string{
		123456: "123,456", 123.4: "123", 12.34: "12.3", 1.234: "1.23", 0.1234: "0.123", 0: "0.000",
		-12.34: "-12.3", -2000: "-2000",
	} {
		if got := digits(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	if got := share(99.99999); got != "99.99999 %" {
		t.Error(got)
	}
}
