package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

func TestCommandLine(t *testing.T) {
	cases := []struct {
		args   string
		code   int
		stdout string // is part of it
		stderr string
	}{
		{"", exitUsage, "", "no command"},
		{"frobnicate", exitUsage, "", `"frobnicate" is not a command`},
		{"help", exitDone, "conntally run", ""},
		{"--help", exitDone, "conntally run", ""},
		{"version", exitDone, "conntally devel", ""},
		{"--version", exitDone, "conntally devel", ""},
		{"version now", exitUsage, "", "no arguments"},
		{"run --help", exitDone, "--collector HOST:PORT", ""},
		{"listen --help", exitDone, "--address HOST:PORT", ""},
		{"demo --help", exitDone, "--protocol ipfix", ""},
		{"run --frobnicate", exitUsage, "", "frobnicate"},
		{"run now", exitUsage, "", `unexpected argument "now"`},
		{"run --collector 192.0.2.1", exitUsage, "", "want HOST:PORT"},
		{"run --collector :2055", exitUsage, "", "host is missing"},
		{"run --collector 192.0.2.1:0", exitUsage, "", "1 to 65535"},
		{"run --collector 192.0.2.1:2055 --collector 192.0.2.1:2055", exitUsage, "", "named twice"},
		{"run --protocol sflow", exitUsage, "", "ipfix or netflow9"},
		{"run --nat none", exitUsage, "", "endpoints or wire"},
		{"run --active-timeout 0s", exitUsage, "", "1ms to 24h"},
		{"run --idle-timeout 15", exitUsage, "", "such as 60s"},
		{"run --poll-interval 1ms", exitUsage, "", "at least 100ms"},
		{"run --log-level loud", exitUsage, "", "log-level"},
		{"run --metrics here", exitUsage, "", "want HOST:PORT"},
		{"run --config /does/not/exist", exitUsage, "", "/does/not/exist"},
		{"demo --protocol sflow", exitUsage, "", "ipfix or netflow9"},
		{"listen --address nowhere", exitFail, "", "listen"},
	}
	for _, c := range cases {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), strings.Fields(c.args), &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) || !strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("conntally %s: exit %d, want %d\nstdout: %s\nstderr: %s", c.args, code, c.code, &stdout, &stderr)
		}
		if strings.Contains(stderr.String(), "usage") {
			t.Errorf("conntally %s: the mark of usage errors shows: %s", c.args, &stderr)
		}
	}
}

func TestConfigFile(t *testing.T) {
	cases := []struct{ text, want string }{
		{"[[collector]]\naddress = \"192.0.2.1\"", "192.0.2.1"},
		{"[[collector]]\naddress = \"192.0.2.1:2055\"\nprotocol = \"sflow\"", ":3: collector.protocol: \"sflow\""},
		{"[[collector]]\nhost = \"192.0.2.1:2055\"", "unknown key collector.host"},
		{"[flow]\nactive_timeout = 60", ":2: flow.active_timeout"},
		{"[flow]\nidle_timeout = \"2d\"", ":2: flow.idle_timeout: \"2d\": want a duration"},
		{"[flow]\nnat = \"some\"", ":2: flow.nat: \"some\""},
		{"[flow]\nmax_flows = -1", "max_flows -1"},
		{"[conntrack]\nreceive_buffer = \"16MB\"", ":2: conntrack.receive_buffer: \"16MB\": want a size"},
		{"[conntrack]\nreceive_buffer = \"9999999KiB\"", "want a size"},
		{"[log]\nlevel = \"loud\"", ":2: log.level"},
		{"[flow\n", ":2: expected"},
		{"\x00", ":1:"},
	}
	for _, c := range cases {
		path := filepath.Join(t.TempDir(), "conntally.toml")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), []string{"run", "--config", path}, &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit %d, %s; want %q", c.text, code, &stderr, c.want)
		}
	}
}

// The file that the README shows is a good one, and flags override it.
func TestReadmeConfig(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "```toml\n")
	text, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("the README has no configuration")
	}
	path := filepath.Join(t.TempDir(), "conntally.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := loadConfig([]string{"--config", path}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Collectors) != 2 || c.Collectors[1].Protocol.value() != export.NetFlow9 || c.pollInterval() != 10*time.Second {
		t.Errorf("got %+v", c)
	}
	c, err = loadConfig([]string{"--collector", "192.0.2.1:1", "--config", path, "--protocol", "netflow9", "--nat", "wire"}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Collectors) != 1 || c.Collectors[0].Protocol.value() != export.NetFlow9 || c.Flow.NAT.View != flow.Wire {
		t.Errorf("flags over the file: %+v", c)
	}
}

func TestPollIntervalFollowsShortTimeouts(t *testing.T) {
	for args, want := range map[string]time.Duration{
		"":                                       10 * time.Second,
		"--active-timeout 5s":                    5 * time.Second,
		"--idle-timeout 3s":                      3 * time.Second,
		"--active-timeout 5s --poll-interval 7s": 7 * time.Second,
	} {
		c, err := loadConfig(strings.Fields(args), os.Stdout)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.pollInterval(); got != want {
			t.Errorf("%q: poll interval %v, want %v", args, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	clock := conntrack.SystemClock()
	p := &probe{
		reader:   &conntrack.Reader{},
		table:    flow.NewTable(flow.Options{}, &conntrack.Timeouts{}, nil, clock()),
		exporter: &export.Exporter{Collectors: []*export.Collector{export.NewCollector(export.Target{Address: "192.0.2.1:2055", Protocol: export.IPFIX}, clock)}},
	}
	registry := prometheus.NewPedanticRegistry()
	if err := registerMetrics(registry, p); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(registry)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	p.table.Stats.Records.Add(3)
	want := "# HELP conntally_records_total Flow records made.\n# TYPE conntally_records_total counter\nconntally_records_total 3\n"
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "conntally_records_total"); err != nil {
		t.Error(err)
	}
}
