package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/internal/command"
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
		{"", command.ExitUsage, "", "no command"},
		{"frobnicate", command.ExitUsage, "", `"frobnicate" is not a command`},
		{"rnu", command.ExitUsage, "", `"rnu" is not a command; did you mean run?`},
		{"Check", command.ExitUsage, "", `"Check" is not a command; did you mean check?`},
		{"collector_config", command.ExitUsage, "", `did you mean collector-config?`},
		{"help", command.ExitDone, "conntally run", ""},
		{"--help", command.ExitDone, "conntally run", ""},
		{"version", command.ExitDone, "conntally devel", ""},
		{"--version", command.ExitDone, "conntally devel", ""},
		{"version now", command.ExitUsage, "", `unexpected argument "now"`},
		{"-V", command.ExitDone, "conntally devel (go", ""},
		{"--version --json", command.ExitDone, `{"version":"devel","go":"go1.`, ""},
		{"version --json", command.ExitDone, `"os":"linux","arch":"`, ""},
		{"help run", command.ExitDone, "--collector HOST:PORT", ""},
		{"help help", command.ExitDone, "conntally help [COMMAND]: list", ""},
		{"help rnu", command.ExitUsage, "", "did you mean run?"},
		{"help run top", command.ExitUsage, "", `unexpected argument "top"`},
		{"hepl", command.ExitUsage, "", "did you mean help?"},
		{"run --collector", command.ExitUsage, "", "run: flag needs an argument: --collector"},
		{"run --helpme", command.ExitUsage, "", "unknown flag --helpme; see conntally help run"},
		{"run --help", command.ExitDone, "--collector HOST:PORT", ""},
		{"listen --help", command.ExitDone, "--address HOST:PORT", ""},
		{"check --help", command.ExitDone, "--json", ""},
		{"check now", command.ExitUsage, "", `unexpected argument "now"`},
		{"check --frobnicate", command.ExitUsage, "", "frobnicate"},
		{"check --config /does/not/exist", command.ExitUsage, "", "/does/not/exist"},
		{"check --config cli_test.go", command.ExitUsage, "", "cli_test.go:1"},
		{"collector-config --help", command.ExitDone, "--collector HOST:PORT", ""},
		{"collector-config --help", command.ExitDone, "collector-config KIND [flags]", ""},
		{"collector-config --collector 127.0.0.1:2055 goflow2", command.ExitDone, "netflow://:2055", ""},
		{"collector-config goflow2 nfdump", command.ExitUsage, "", `unexpected argument "nfdump"`},
		{"version --help", command.ExitDone, "print the version", ""},
		{"--versio", command.ExitUsage, "", "unknown flag --versio; did you mean --version?"},
		{"--json", command.ExitUsage, "", "--json: want a command first; see conntally help"},
		{"run --track=maybe", command.ExitUsage, "",
			`invalid boolean value "maybe" for --track: want true or false`},
		{"collector-config", command.ExitUsage, "", "which KIND of collector? akvorado, goflow2, nfdump, pmacct"},
		{"collector-config elastic", command.ExitUsage, "", `"elastic": want akvorado, goflow2`},
		{"collector-config gofow2", command.ExitUsage, "", `"gofow2": did you mean goflow2?`},
		{"collector-config goflow2", command.ExitUsage, "", "which collector?"},
		{"collector-config goflow2 --collector 127.0.0.1:2055", command.ExitDone, "netflow://:2055", ""},
		{"run --collector nonsense", command.ExitUsage, "",
			`run: invalid value "nonsense" for flag --collector: want HOST:PORT, an IPv6 address ` +
				`in brackets`},
		{"collector-config akvorado --collector nonsense", command.ExitUsage, "",
			`collector-config: invalid value "nonsense" for flag --collector: want HOST:PORT, an ` +
				`IPv6 address in brackets`},
	}
}

// serviceLines are the command lines of the service, and of the commands that ask it.
func serviceLines() []commandLine {
	return []commandLine{
		{"top --help", command.ExitDone, "--by KIND", ""},
		{"top --by devices", command.ExitUsage, "",
			`--by: want one of device, destination, connection, port`},
		{"top --sort size", command.ExitUsage, "", `--sort: want one of total, up, down, connections`},
		{"top --help", command.ExitDone, "  -n N ", ""},
		{"top -n -1", command.ExitUsage, "", "top: -n: want a number of rows"},
		{"top -n x", command.ExitUsage, "", `invalid value "x" for flag -n: want a number` + "\n"},
		{"top -n", command.ExitUsage, "", "flag needs an argument: -n\n"},
		{"top --onc", command.ExitUsage, "", "did you mean --once?"},
		{"top --socket cli_test.sock", command.ExitFailed, "",
			"conntally isn't running, or [control] is off: cli_test.sock: no such file"},
		{"status --socket cli_test.sock", command.ExitFailed, "",
			"conntally: status: conntally isn't running"},
		{"devices --socket cli_test.sock", command.ExitFailed, "", "no such file"},
		{"device", command.ExitUsage, "", "did you mean devices?"},
		{"flows --socket cli_test.sock --device tv", command.ExitFailed, "", "no such file"},
		{"flows tv", command.ExitUsage, "", `unexpected argument "tv"`},
		{"flows --limit 0", command.ExitUsage, "", "want a number from 1 to 10000"},
		{"demo --help", command.ExitDone, "--protocol PROTOCOL", ""},
		{"run --frobnicate", command.ExitUsage, "", "frobnicate"},
		{"run now", command.ExitUsage, "", `unexpected argument "now"`},
		{"run --check-config", command.ExitDone, "flags: ok\n", ""},
		{"run --check-config --json", command.ExitDone, "flags: ok\n", ""},
		{"run --json --collector 127.0.0.1:9", command.ExitUsage, "",
			"--json: flows are printed only without a collector"},
		{"run --check-config --config config/reference.toml", command.ExitDone,
			"config/reference.toml: ok\n", ""},
		{"demo --protocol sflow", command.ExitUsage, "", `"ipfix" or "netflow9"`},
		{"listen --address nowhere", command.ExitUsage, "",
			`listen: invalid value "nowhere" for flag --address: want HOST:PORT`},
		{"listen --address 192.0.2.1:2055", command.ExitFailed, "", "listen"},
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
