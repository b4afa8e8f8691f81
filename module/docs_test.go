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
