// Package commandtest makes the documents of a program out of what its commands print with
// --help: a manual page, and the completions of bash, zsh and fish.
//
//	Program -> --help of each command -> Described -> module/man, module/completions
package commandtest

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/command"
)

// Described is a command as its --help describes it.
type Described struct {
	command.Command
	Flags []Flag
}

// Flag is one line of it.
type Flag struct {
	Name  string // with dashes
	Value string // its placeholder; "" if there is none
	Usage string
}

func (f *Flag) isFile() bool  { return f.Value == "FILE" }
func (f *Flag) repeats() bool { return strings.Contains(f.Usage, "may be repeated") }

func (d *Described) flags() (names []string) {
	for _, f := range d.Flags {
		names = append(names, f.Name)
	}
	return names
}

// Names returns the names of commands.
func Names(all []Described) (names []string) {
	for _, d := range all {
		names = append(names, d.Name)
	}
	return names
}

// Describe asks all commands of a program for help.
func Describe(t *testing.T, p *command.Program) (all []Described) {
	t.Helper()
	for _, c := range p.All() {
		var help bytes.Buffer
		_ = c.Run(context.Background(), []string{"--help"}, &help, &help) // flag.ErrHelp
		d := Described{Command: c}
		for line := range strings.Lines(help.String()) {
			if f, ok := parseHelp(line); ok {
				d.Flags = append(d.Flags, f)
			}
		}
		if (len(d.Flags) > 0) != strings.Contains(c.Arguments, "[flags]") {
			t.Errorf("%s %s: --help shows %d flags:\n%s", c.Name, c.Arguments, len(d.Flags), &help)
		}
		all = append(all, d)
	}
	return all
}

// parseHelp reads a line of the help of command.Flags.
func parseHelp(line string) (f Flag, ok bool) {
	head, usage, ok := strings.Cut(strings.TrimSpace(line), "  ")
	f.Name, f.Value, _ = strings.Cut(head, " ")
	f.Usage = strings.TrimSpace(usage)
	return f, ok && strings.HasPrefix(f.Name, "-")
}

// Valued returns the flags with a value, each name once.
func Valued(all []Described) (flags []Flag) {
	for _, d := range all {
		for _, f := range d.Flags {
			if f.Value != "" && !slices.ContainsFunc(flags,
				func(g Flag) bool { return g.Name == f.Name }) {
				flags = append(flags, f)
			}
		}
	}
	return flags
}
