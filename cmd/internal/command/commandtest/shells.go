package commandtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	d.complete(t, need(t, "bash"), completions, ". "+d.Path("bash"), func(line string) string {
		words := strings.Split(line, " ")
		for i := range words {
			words[i] = quoted(words[i])
		}
		return fmt.Sprintf(
			"COMP_WORDS=(%s) COMP_CWORD=%d COMPREPLY=(); %s; printf '%%s\n' \"${COMPREPLY[@]}\"",
			strings.Join(words, " "), len(words)-1, d.function())
	})
}

// Fish compares what fish offers.
func (d *Documents) Fish(t *testing.T, need Need, completions []Completion) {
	t.Helper()
	d.complete(t, need(t, "fish"), completions, "source "+d.Path("fish"), func(line string) string {
		return "complete -C " + quoted(line)
	})
}

// Zsh compares what zsh offers.
func (d *Documents) Zsh(t *testing.T, need Need, completions []Completion) {
	t.Helper()
	text, err := os.ReadFile(d.Path("zsh"))
	directory := t.TempDir()
	if err == nil {
		err = os.WriteFile(filepath.Join(directory, "_"+d.Program.Name), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	begin := "directory=" + quoted(directory) + zshOnTerminal
	d.complete(t, need(t, "zsh"), completions, begin, func(line string) string {
		return "offered " + quoted(line)
	})
}

// zshOnTerminal starts another zsh on a terminal, without which it completes nothing. Its
// compadd prints what it is given; with -O, -A or -D compadd adds nothing. Control-U then
// empties the line.
const zshOnTerminal = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "
	unsetopt zle_bracketed_paste
	stty -echo
	PS1= RPS1= fpath=(${(q)directory} \$fpath)
	autoload -Uz compinit; compinit -D -u
	compadd() {
		local -a _offered
		if ! (( \$argv[(I)-O|-A|-D] )); then
			builtin compadd -A _offered \"\$@\"
			print -rl -- '<offered>'\$^_offered
		fi
		builtin compadd \"\$@\"
	}
	offer() { zle complete-word; print '<done>' }
	zle -N offer; bindkey '^I' offer
	print '<rea''dy>'"
zpty -r shell answer '*<ready>*'
offered() {
	zpty -w -n shell $'\x15'"$1"$'\t'
	zpty -r shell answer '*<done>*'
	for word in ${(f)answer}; do
		[[ $word != *'<offered>'* ]] || print -r -- ${word#*'<offered>'}
	done
}`

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

// complete runs a shell that prints for each line the words that it offers, one a line, a
// description behind them, and compares them.
func (d *Documents) complete(t *testing.T, shell string, completions []Completion, begin string,
	offer func(line string) string,
) {
	t.Helper()
	const end = "<end>"
	script := begin
	for _, c := range completions {
		script += "\n" + offer(c.Line) + "\necho '" + end + "'"
	}
	cmd := exec.CommandContext(context.Background(), shell, "-c", script)
	cmd.Env = append(cmd.Environ(), "HOME="+t.TempDir(), "LC_ALL=C")
	output, err := cmd.Output()
	answers := strings.Split(string(output), end)
	if err != nil || len(answers) != len(completions)+1 {
		t.Fatalf("%v: %v: %q", cmd, err, output)
	}
	for i, c := range completions {
		if c.Want == "names" {
			c.Want = strings.Join(Names(Describe(t, d.Program)), " ")
		}
		var got []string
		for line := range strings.Lines(answers[i]) {
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
