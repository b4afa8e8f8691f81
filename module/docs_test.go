package module

import (
	"path/filepath"
	"strings"
	"testing"
)

// The documentation shows the examples as they were evaluated.
func TestExamplesAreDocumented(t *testing.T) {
	text := read(t, "../docs/nixos.md")
	examples, err := filepath.Glob("examples/*.nix")
	if err != nil || len(examples) == 0 {
		t.Fatalf("%d examples: %v", len(examples), err)
	}
	for _, path := range examples {
		if !strings.Contains(text, "```nix\n"+read(t, path)+"```\n") {
			t.Errorf("docs/nixos.md doesn't show %s as it is", path)
		}
	}
}

// README.md describes the evaluation that is recorded.
func TestEvaluationIsDocumented(t *testing.T) {
	if release := readRecord(t).Nixpkgs; !strings.Contains(read(t, "README.md"), "nixpkgs "+release+"pre") {
		t.Errorf("README.md doesn't name nixpkgs %s", release)
	}
}

// TestManualsAreInstalled: those of each program, with the paths where they are installed.
func TestManualsAreInstalled(t *testing.T) {
	for _, program := range []string{"conntally", "conntally-history"} {
		root := installed(t, "/opt", program)
		for _, page := range []string{"man1/" + program + ".1", "man5/" + program + ".toml.5"} {
			text := read(t, filepath.Join(root, "opt/share/man", page))
			if !strings.Contains(text, "/opt/share/doc/"+program) {
				t.Errorf("%s doesn't name the documents' place", page)
			}
		}
	}
}
