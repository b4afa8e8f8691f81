package commandtest

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Completion is what is offered for the last word of a line, in any order.
type Completion struct {
	Line string
	Want string // words; "names" for the names of all commands
}

// Need returns the path of a program that a test runs, or skips the test.
type Need func(t *testing.T, program string) string

// Bash compares what bash offers.
func (d *Documents) Bash(t *testing.T, need Need, completions []Completion) {
	t.Helper()
	d.complete(t, need(t, "bash"), completions, func(line string) string {
		words := strings.Split(line, " ")
		for i := range words {
			words[i] = quoted(words[i])
		}
		return fmt.Sprintf(
			". %s; COMP_WORDS=(%s) COMP_CWORD=%d; %s; printf '%%s\\n' \"${COMPREPLY[@]}\"",
			d.Path("bash"), strings.Join(words, " "), len(words)-1, d.function())
	})
}

// Fish compares what fish offers.
func (d *Documents) Fish(t *testing.T, need Need, completions []Completion) {
	t.Helper()
	d.complete(t, need(t, "fish"), completions, func(line string) string {
		return "source " + d.Path("fish") + "; complete -C " + quoted(line)
	})
}

// Parse has each shell look at its file, and mandoc at the manual pages.
func (d *Documents) Parse(t *testing.T, need Need) {
	t.Helper()
	for program, args := range map[string][]string{
		"bash": {"-n", d.Path("bash")}, "zsh": {"-n", d.Path("zsh")}, "fish": {"-n", d.Path("fish")},
		"mandoc": {"-T", "lint", "-W", "style", d.Path("1"), d.Path("5")},
	} {
		t.Run(program, func(t *testing.T) {
			output, err := exec.Command(need(t, program), args...).CombinedOutput()
			if err != nil || len(output) > 0 {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}

// complete runs a script of a shell for each line, and compares the words that it prints,
// one a line, a description behind them.
func (d *Documents) complete(
	t *testing.T, shell string, completions []Completion, script func(line string) string,
) {
	t.Helper()
	for _, c := range completions {
		if c.Want == "names" {
			c.Want = strings.Join(Names(Describe(t, d.Program)), " ")
		}
		cmd := exec.CommandContext(context.Background(), shell, "-c", script(c.Line))
		cmd.Env = append(cmd.Environ(), "HOME="+t.TempDir(), "LC_ALL=C")
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		var got []string
		for line := range strings.Lines(string(output)) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); word != "" {
				got = append(got, word)
			}
		}
		want := strings.Fields(c.Want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", c.Line, got, want)
		}
	}
}
