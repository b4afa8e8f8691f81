package agent

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func setting(t *testing.T) Setting {
	return Setting{
		Dir: t.TempDir(), Collector: netip.MustParseAddrPort("127.0.0.1:2055"), Interface: "lan0",
		MaxFlows: 12345,
	}
}

// Each program is configured with the collector, and a capturing one with the interface.
func TestProgramsAreConfigured(t *testing.T) {
	for _, a := range All("/usr/bin/conntally") {
		s := setting(t)
		if err := a.writeFiles(s); err != nil {
			t.Fatal(err)
		}
		configuration := strings.Join(a.Args(s), " ")
		files, _ := filepath.Glob(filepath.Join(s.Dir, "*"))
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			configuration += string(b)
		}
		if !strings.Contains(configuration, "127.0.0.1") ||
			!strings.Contains(configuration, "2055") {
			t.Errorf("%s isn't configured with the collector: %s", a.Name, configuration)
		}
		if a.Captures != strings.Contains(configuration, "lan0") {
			t.Errorf("%s: captures: %v, configured with %s", a.Name, a.Captures, configuration)
		}
		if strings.Contains(configuration, "%!") || a.Why == "" || a.Export == "" ||
			len(a.Version) == 0 {
			t.Errorf("%s: %+v, configured with %s", a.Name, a, configuration)
		}
	}
}

func TestMissed(t *testing.T) {
	softflowd := "Packets processed: 10\nPackets received by libpcap: 30\n" +
		"Packets dropped by libpcap: 20\nPackets dropped by interface: 7\n"
	pmacctd := "NOTICE ( default/core ): [lan0,0] received_packets=149962 dropped_packets=1851\n"
	metrics := "# HELP x_dropped_events_total of\nconntally_conntrack_dropped_events_total 5\n" +
		"conntally_conntrack_dropped_events_total{group=\"x\"} 1e1\nconntally_flows 7\n"
	for _, test := range []struct {
		program, answer, log string
		count                uint64
		unit                 string
		ok                   bool
	}{
		{"softflowd", softflowd, "", 20, "packets", true},
		{"softflowd", "", "", 0, "packets", false},
		{"pmacctd", "", pmacctd, 1851, "packets", true},
		{"pmacctd", "", "dropped_packets=many", 0, "packets", false},
		{"ulogd2", "", "... We are losing events. Please ...\nWe are losing events, increasing\n",
			2, "warnings", true},
		{"ulogd2", "", "", 0, "warnings", true},
		{"fprobe", "", "Done", 0, "", false},
		{"conntally", metrics, "", 15, "events", true},
		{"conntally", "conntally_flows 7\n", "", 0, "events", false},
	} {
		for _, a := range All("conntally") {
			if a.Name != test.program {
				continue
			}
			if count, unit, ok := a.Missed(test.answer, test.log); count != test.count ||
				unit != test.unit || ok != test.ok {
				t.Errorf("%s: %d %s %v from %q, %q", a.Name, count, unit, ok, test.answer, test.log)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	for text, want := range map[string]string{
		"Usage: x\nThis is softflowd version 1.1.0. Valid options:\n": "1.1.0",
		"fprobe: a NetFlow probe. Version 1.1\n":                      "1.1",
		"Daemon, pmacctd 1.7.7-git [RELEASE]":                         "1.7.7-git",
		"ulogd Version 2.0.8\n(C) 2000-2006":                          "2.0.8",
		"conntally v1.2.3-4-gabcdef0 linux/amd64":                     "v1.2.3-4-gabcdef0",
		"conntally c492125-dirty go1.26.8":                            "c492125-dirty",
		"nothing":                                                     "",
	} {
		if got := version(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestParseCount(t *testing.T) {
	log := "==5== Counted 1 call to main()\n==5==   total:         2,211,421\n" +
		"==5==   guest instrs:  7,225,571\n==5==   guest instrs : SB entered  = 53 : 10\n"
	if n, err := parseCount(log); err != nil || n != 7_225_571 {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "guest instrs: many", "guest instrs : SB entered  = 53 : 10"} {
		if n, err := parseCount(bad); err == nil {
			t.Errorf("%q: %d", bad, n)
		}
	}
}

// TestOutput: a talkative program doesn't fill our memory.
func TestOutput(t *testing.T) {
	var o output
	for range 3 * outputMost / 1000 {
		if n, err := o.Write(make([]byte, 1000)); n != 1000 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := len(o.String()); n > outputMost {
		t.Errorf("%d bytes are kept", n)
	}
}

// TestDescribeCounted: a report says what was run, not where it lay.
func TestDescribeCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho 1.2.3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	a := Agent{Program: path, Args: func(Setting) []string { return []string{"run"} }}
	a, err := a.Counted()
	if err != nil {
		t.Fatal(err)
	}
	a.Program = path // valgrind may be missing
	p, err := a.Describe(t.Context())
	if err != nil || p.Version != "1.2.3" || !strings.HasSuffix(p.Command, " program run") ||
		strings.Contains(p.Command, filepath.Dir(path)) {
		t.Errorf("%+v, %v", p, err)
	}
}
