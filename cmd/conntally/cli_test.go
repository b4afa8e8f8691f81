package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// commandLine is a command line, its exit code, and parts of its output.
type commandLine struct {
	args           string
	code           int
	stdout, stderr string
}

// toolLines are the command lines of the commands that need no service.
func toolLines() []commandLine {
	return []commandLine{
		{"", exitUsage, "", "no command"},
		{"frobnicate", exitUsage, "", `"frobnicate" is not a command`},
		{"rnu", exitUsage, "", `"rnu" is not a command; did you mean run?`},
		{"Check", exitUsage, "", `"Check" is not a command; did you mean check?`},
		{"collector_config", exitUsage, "", `did you mean collector-config?`},
		{"help", exitDone, "conntally run", ""},
		{"--help", exitDone, "conntally run", ""},
		{"version", exitDone, "conntally devel", ""},
		{"--version", exitDone, "conntally devel", ""},
		{"version now", exitUsage, "", `unexpected argument "now"`},
		{"run --help", exitDone, "--collector HOST:PORT", ""},
		{"listen --help", exitDone, "--address HOST:PORT", ""},
		{"check --help", exitDone, "--json", ""},
		{"check now", exitUsage, "", `unexpected argument "now"`},
		{"check --frobnicate", exitUsage, "", "frobnicate"},
		{"check --config /does/not/exist", exitUsage, "", "/does/not/exist"},
		{"check --config cli_test.go", exitUsage, "", "cli_test.go:1"},
		{"collector-config --help", exitDone, "--collector HOST:PORT", ""},
		{"collector-config --help", exitDone, "collector-config KIND [flags]", ""},
		{"collector-config --collector 127.0.0.1:2055 goflow2", exitDone, "netflow://:2055", ""},
		{"collector-config goflow2 nfdump", exitUsage, "", `unexpected argument "nfdump"`},
		{"version --help", exitDone, "print the version", ""},
		{"collector-config", exitUsage, "", "want akvorado, goflow2, nfdump, pmacct"},
		{"collector-config elastic", exitUsage, "", `"elastic"`},
		{"collector-config goflow2", exitUsage, "", "which collector?"},
		{"collector-config goflow2 --collector 127.0.0.1:2055", exitDone, "netflow://:2055", ""},
		{"run --collector nonsense", exitUsage, "",
			`run: invalid value "nonsense" for flag --collector: want HOST:PORT, an IPv6 address ` +
				`in brackets`},
		{"collector-config akvorado --collector nonsense", exitUsage, "",
			`collector-config: invalid value "nonsense" for flag --collector: want HOST:PORT, an ` +
				`IPv6 address in brackets`},
	}
}

// serviceLines are the command lines of the service, and of the commands that ask it.
func serviceLines() []commandLine {
	return []commandLine{
		{"top --help", exitDone, "--by KIND", ""},
		{"top --by devices", exitUsage, "",
			`--by: want one of device, destination, connection, port`},
		{"top --sort size", exitUsage, "", `--sort: want one of total, up, down, connections`},
		{"top --n -1", exitUsage, "", "want a number of rows"},
		{"top --onc", exitUsage, "", "did you mean --once?"},
		{"top --socket cli_test.sock", exitFail, "",
			"conntally isn't running, or [control] is off: cli_test.sock: no such file"},
		{"status --socket cli_test.sock", exitFail, "",
			"conntally: status: conntally isn't running"},
		{"devices --socket cli_test.sock", exitFail, "", "no such file"},
		{"device", exitUsage, "", "did you mean devices?"},
		{"flows --socket cli_test.sock --device tv", exitFail, "", "no such file"},
		{"flows tv", exitUsage, "", `unexpected argument "tv"`},
		{"flows --limit 0", exitUsage, "", "want a number from 1 to 10000"},
		{"demo --help", exitDone, "--protocol ipfix", ""},
		{"run --frobnicate", exitUsage, "", "frobnicate"},
		{"run now", exitUsage, "", `unexpected argument "now"`},
		{"run --check-config", exitDone, "flags: ok\n", ""},
		{"run --check-config --json", exitDone, "flags: ok\n", ""},
		{"run --json --collector 127.0.0.1:9", exitUsage, "",
			"--json: flows are printed only without a collector"},
		{"run --check-config --config config/reference.toml", exitDone,
			"config/reference.toml: ok\n", ""},
		{"demo --protocol sflow", exitUsage, "", `"ipfix" or "netflow9"`},
		{"listen --address nowhere", exitFail, "", "listen"},
	}
}

// TestCommandLineExitCodesAndOutput: of each command, with help and with mistakes.
func TestCommandLineExitCodesAndOutput(t *testing.T) {
	for _, c := range slices.Concat(toolLines(), serviceLines()) {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), strings.Fields(c.args), &stdout, &stderr)
		if code != c.code || !strings.Contains(stdout.String(), c.stdout) ||
			!strings.Contains(stderr.String(), c.stderr) {
			t.Errorf("conntally %s: exit %d, want %d\nstdout: %s\nstderr: %s", c.args, code, c.code,
				&stdout, &stderr)
		}
		if strings.Contains(stderr.String(), "usage") {
			t.Errorf("conntally %s: the mark of usage errors shows: %s", c.args, &stderr)
		}
	}
}

// TestReadmeConfigIsValid: the file that README.md shows is valid, and flags override it.
func TestReadmeConfigIsValid(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(readme), "```toml\n")
	text, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("the README has no configuration")
	}
	path := configFile(t, text)
	c, _, err := loadConfig([]string{"--config", path}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Collectors) != 2 || c.Collectors[1].Protocol.Value() != export.NetFlow9 ||
		c.Poll() != 10*time.Second {
		t.Errorf("got %+v", c)
	}
	c, _, err = loadConfig([]string{"--collector", "192.0.2.1:1", "--config", path, "--protocol",
		"netflow9", "--nat", "wire"}, os.Stdout)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Collectors) != 1 || c.Collectors[0].Protocol.Value() != export.NetFlow9 ||
		c.Flow.NAT.View != flow.Wire {
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
		c, _, err := loadConfig(strings.Fields(args), os.Stdout)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Poll(); got != want {
			t.Errorf("%q: poll interval %v, want %v", args, got, want)
		}
	}
}
