package commandtest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/conntally/conntally/cmd/internal/command"
)

// Documents are what is installed beside a program.
type Documents struct {
	Program *command.Program
	Config  Configuration
	Module  string // the directory of man and completions
	// Choices are the words that complete a flag's value; other values are free text.
	Choices map[string][]string
	// What stands in the manual page of section 1 before the synopsis, before the commands,
	// and behind them, in man(7).
	Head, About, Tail string
}

// Path returns where one of them is, by the end of its name.
func (d *Documents) Path(of string) string {
	switch of {
	case "1":
		return filepath.Join(d.Module, "man", d.Program.Name+".1")
	case "5":
		return filepath.Join(d.Module, "man", d.Program.Name+".toml.5")
	}
	return filepath.Join(d.Module, "completions", d.Program.Name+"."+of)
}

// Check reports which of them disagree with --help, or writes them.
func (d *Documents) Check(t *testing.T, update bool) {
	t.Helper()
	all := Describe(t, d.Program)
	d.checkExamples(t, all)
	for of, text := range map[string]string{
		"1": d.manual(all), "5": d.Config.manual(t, d.made()),
		"bash": d.bash(all), "zsh": d.zsh(all), "fish": d.fish(all),
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
