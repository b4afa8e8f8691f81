package commandtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/command"
)

// Documents are what is installed beside a program.
type Documents struct {
	Program *command.Program
	Module  string // the directory of man and completions
	// Choices are the words that complete a flag's value; other values are free text.
	Choices map[string][]string
	// What stands in the manual page before the synopsis, before the commands, and behind
	// them, in man(7).
	Head, About, Tail string
}

// Path returns where one of them is, by the end of its name.
func (d *Documents) Path(of string) string {
	directory := "completions"
	if of == "1" {
		directory = "man"
	}
	return filepath.Join(d.Module, directory, d.Program.Name+"."+of)
}

// Check reports which of them disagree with --help, or writes them.
func (d *Documents) Check(t *testing.T, update bool) {
	t.Helper()
	all := Describe(t, d.Program)
	for of, text := range map[string]string{
		"1": d.manual(all), "bash": d.bash(all), "zsh": d.zsh(all), "fish": d.fish(all),
	} {
		path := d.Path(of)
		if update {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("%s isn't current (%v): run go generate ./cmd/%s", path, err, d.Program.Name)
		}
	}
}

// manual is a page of section 1 in man(7).
func (d *Documents) manual(all []Described) string {
	var b strings.Builder
	fmt.Fprintf(&b, `.\" %s%s`, d.made(), d.Head)
	for i, c := range all {
		if i > 0 {
			fmt.Fprintln(&b, ".br")
		}
		fmt.Fprintf(&b, "%s %s\n", bold(d.Program.Name+" "+c.Name), roff(c.Arguments))
	}
	fmt.Fprint(&b, d.About)
	for _, c := range all {
		fmt.Fprintf(&b, ".SS %s %s\n%s\n", roff(d.Program.Name), roff(c.Name),
			roff(sentence(c.About)))
		if len(c.Values) > 0 && c.Name != "help" {
			fmt.Fprintf(&b, "%s is %s.\n", roff(strings.Fields(c.Arguments)[0]),
				roff(strings.Join(c.Values, ", ")))
		}
		for _, f := range c.Flags {
			value := f.Value
			if words := d.Choices[f.Name]; words != nil {
				value = strings.Join(words, "|")
			}
			fmt.Fprintf(&b, ".TP\n%s %s\n%s\n", bold(f.Name), italic(value), roff(f.Usage))
		}
	}
	fmt.Fprint(&b, d.Tail)
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
