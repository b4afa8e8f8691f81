package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:generate go test -run ^TestManualIsCurrent$ -update .

var update = flag.Bool("update", false, "write the manual page and the completions")

// described is a command as its --help describes it.
type described struct {
	command
	flags []describedFlag
}

// describedFlag is one line of it.
type describedFlag struct {
	name  string // with dashes
	value string // its placeholder; "" if there is none
	usage string
}

// describeAll asks all commands for help.
func describeAll(t *testing.T) (all []described) {
	t.Helper()
	for _, c := range commands() {
		var help bytes.Buffer
		_ = c.run(context.Background(), []string{"--help"}, &help, &help) // flag.ErrHelp
		d := described{command: c}
		for line := range strings.Lines(help.String()) {
			if f, ok := parseHelp(line); ok {
				d.flags = append(d.flags, f)
			}
		}
		if len(d.flags) == 0 && c.arguments != "" {
			t.Errorf("%s --help shows no flag:\n%s", c.name, &help)
		}
		all = append(all, d)
	}
	return all
}

// parseHelp reads a line of flags.print.
func parseHelp(line string) (f describedFlag, ok bool) {
	head, usage, ok := strings.Cut(strings.TrimSpace(line), "  ")
	f.name, f.value, _ = strings.Cut(head, " ")
	f.usage = strings.TrimSpace(usage)
	return f, ok && strings.HasPrefix(f.name, "--")
}

// TestManualPagePassesMandoc: its linter has no warnings.
func TestManualPagePassesMandoc(t *testing.T) {
	output, err := exec.Command(need(t, "mandoc"), "-T", "lint", "-W", "warning",
		"../../module/man/conntally.1").CombinedOutput()
	if err != nil || len(output) > 0 {
		t.Errorf("%v: %s", err, output)
	}
}

// TestManualIsCurrent: the manual page and the completions agree with --help.
func TestManualIsCurrent(t *testing.T) {
	all := describeAll(t)
	for name, text := range map[string]string{
		"man/conntally.1":            manual(all),
		"completions/conntally.bash": bashCompletion(all),
		"completions/conntally.zsh":  zshCompletion(all),
		"completions/conntally.fish": fishCompletion(all),
	} {
		path := filepath.Join("..", "..", "module", name)
		if *update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%s isn't current (%v): run go generate ./cmd/conntally", path, err)
		}
	}
}

// manual is a page of section 1 in man(7).
func manual(all []described) string {
	var b strings.Builder
	fmt.Fprint(&b, manualHead)
	for i, d := range all {
		if i > 0 {
			fmt.Fprintln(&b, ".br")
		}
		fmt.Fprintf(&b, "%s %s\n", bold("conntally "+d.name), roff(d.arguments))
	}
	fmt.Fprint(&b, manualAbout)
	for _, d := range all {
		fmt.Fprintf(&b, ".SS conntally %s\n%s\n", roff(d.name), roff(sentence(d.about)))
		for _, f := range d.flags {
			value := f.value
			if words := choices[f.name]; words != nil {
				value = strings.Join(words, "|")
			}
			fmt.Fprintf(&b, ".TP\n%s %s\n%s\n", bold(f.name), italic(value), roff(f.usage))
		}
	}
	fmt.Fprint(&b, manualTail)
	return strings.NewReplacer(" \\fI\\fR\n", "\n", " \n", "\n").Replace(b.String())
}

func bold(s string) string   { return `\fB` + roff(s) + `\fR` }
func italic(s string) string { return `\fI` + roff(s) + `\fR` }

// roff escapes text so that it is printed literally.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func sentence(s string) string {
	if !strings.HasSuffix(s, "?") {
		s += "."
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

const manualHead = `.\" Made by go generate ./cmd/conntally from what --help says.
.TH CONNTALLY 1 2026-11-20 conntally "User Commands"
.SH NAME
conntally \- export connection tracking as NetFlow v9 or IPFIX
.SH SYNOPSIS
`

const manualAbout = `.SH DESCRIPTION
The kernel of a Linux router counts the packets and bytes of each connection
that it tracks.
.B conntally run
reads these counters and sends them to flow collectors; without a collector it
prints the flows.
It takes the capability CAP_NET_ADMIN.
.B conntally check
shows what a machine lacks, and which command fixes it.
.BR "conntally top" ,
.BR status ,
.B devices
and
.B flows
ask the running service over its control socket; docs/control.md describes the
keys of
.B top
and all JSON objects.
.SH COMMANDS
`

const manualTail = `.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
It failed;
.B conntally check
found what fails.
.TP
.B 2
The command line or the configuration is wrong.
.SH SIGNALS
.B conntally run
exports all that is pending at SIGTERM and SIGINT, then ends, and reads its
configuration again at SIGHUP. A second SIGTERM or SIGINT ends any command at once.
.SH ENVIRONMENT
.TP
.B STATE_DIRECTORY
Where
.B conntally run
records what it has exported, so that a restart counts nothing twice, unless the configuration says where.
.TP
.B NO_COLOR
If it is not empty, no command prints colours.
.TP
.B TERM
If it is dumb,
.B conntally top
prints plain rows.
.TP
.B RUNTIME_DIRECTORY
The directory of the control socket, in place of /run/conntally.
.SH FILES
.TP
.I /run/conntally/control.sock
What the service answers questions at: HTTP and JSON, read only. It belongs to
the user and the group of the service.
.TP
.I /etc/conntally.toml
What the service reads. All keys are described in
.IR /usr/share/doc/conntally/docs/configuration.md .
.SH EXAMPLES
.TP
.B sudo conntally check
Is this machine ready?
.TP
.B sudo conntally run
Print flows as they end or go idle, and long ones every minute.
.TP
.B sudo conntally run \-\-collector 192.0.2.10:2055
Export by IPFIX.
.TP
.B conntally top \-\-by destination
Watch where traffic goes now.
.SH SEE ALSO
.BR conntrack (8),
.BR nft (8),
.BR sysctl (8)
`
