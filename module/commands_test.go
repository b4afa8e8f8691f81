package module

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	history "github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/module/document"
)

func blocks(t *testing.T) []document.Block {
	t.Helper()
	all, err := document.Read("..")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestMarkedCommandsAreRun: what a comment before a block says to run its commands exists, and
// has the program of each. Blocks without a comment are run by the tests of the programs.
func TestMarkedCommandsAreRun(t *testing.T) {
	marked := 0
	for _, b := range blocks(t) {
		commands := b.Commands()
		if (b.RunBy != "" || b.NotRun != "") && len(commands) == 0 {
			t.Errorf("%s:%d: a comment is about no command", b.Path, b.Line)
		}
		if b.RunBy == "" {
			continue
		}
		marked++
		text, err := os.ReadFile(filepath.Join("..", b.RunBy))
		if err != nil {
			t.Errorf("%s:%d: %v", b.Path, b.Line, err)
		}
		if strings.Contains(string(text), strings.TrimPrefix(b.Path, "../")) {
			continue // it runs the document itself
		}
		for _, command := range commands {
			for _, word := range essential(command) {
				if !strings.Contains(string(text), word) {
					t.Errorf("%s:%d: %s doesn't run %q: no %s", b.Path, b.Line, b.RunBy, command, word)
				}
			}
		}
	}
	if marked < 5 {
		t.Errorf("only %d comments were found", marked)
	}
}

// essential returns what has to be in a script that runs a command: its program without the
// directory, or what make, conntally and conntally-history are to do.
func essential(command string) []string {
	words := strings.Fields(strings.TrimPrefix(command, "sudo "))
	for strings.Contains(words[0], "=") { // the environment
		words = words[1:]
	}
	switch program := filepath.Base(words[0]); program {
	case "vi":
		return nil
	case "conntally", "conntally-history", "make":
		return words[1:2]
	default:
		return []string{program}
	}
}

// TestMentionedTargetsExist: each `make TARGET` of a document is in the Makefile.
func TestMentionedTargetsExist(t *testing.T) {
	makefile := read(t, "../Makefile")
	found := 0
	for _, path := range documents(t, "..") {
		for _, line := range document.Mentions(path, read(t, path)) {
			for _, m := range regexp.MustCompile(`(?:^|&& |sudo )make ([a-z -]+)`).FindAllStringSubmatch(line, -1) {
				for _, target := range strings.Fields(m[1]) {
					found++
					if !regexp.MustCompile(`(?m)^` + target + `:`).MatchString(makefile) {
						t.Errorf("%s: %q: make knows no %s", path, line, target)
					}
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d were found", found)
	}
}

// TestConfigurationsAreValid: each piece of TOML in a document is one of the programs'.
func TestConfigurationsAreValid(t *testing.T) {
	found := 0
	for _, b := range blocks(t) {
		if b.Language != "toml" {
			continue
		}
		found++
		path := filepath.Join(t.TempDir(), "a.toml")
		if err := os.WriteFile(path, []byte(b.Text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := config.Default().Read(path)
		if _, other := history.Load(path); err != nil && other != nil {
			t.Errorf("%s:%d: %v", b.Path, b.Line, err)
		}
	}
	if found < 10 {
		t.Errorf("only %d were found", found)
	}
}

// width is how long a line of a document may be, in characters.
const width = 100

// TestLinesAreShort in documents written by hand. Rows of tables, headings and pictures can't
// be broken; what a program has printed and what another formats (Nix) is shown as it is.
func TestLinesAreShort(t *testing.T) {
	long := func(line string) bool { return len([]rune(line)) > width }
	for _, path := range documents(t, "..") {
		if ok, err := filepath.Match("../bench/results/*/*", path); err != nil || ok {
			continue // made by the benchmark
		}
		text := document.WithoutBlocks(read(t, path))
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			if long(line) && !strings.ContainsAny(line[:1], "|#!") {
				t.Errorf("%s: more than %d columns: %s", path, width, line)
			}
		}
	}
	for _, b := range blocks(t) {
		for line := range strings.Lines(b.Text) {
			if b.Language != "" && b.Language != "nix" && long(strings.TrimRight(line, "\n")) {
				t.Errorf("%s:%d: more than %d columns: %s", b.Path, b.Line, width, line)
			}
		}
	}
}
