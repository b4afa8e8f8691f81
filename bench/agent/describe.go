package agent

import (
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/conntally/conntally/bench/collect"
	"github.com/conntally/conntally/bench/result"
)

// Describe returns what the report needs to know about the program; it asks the program
// for its version.
func (a *Agent) Describe(ctx context.Context) (result.Program, error) {
	path, err := a.Path()
	if err != nil {
		return result.Program{}, err
	}
	if a.counted != "" {
		path = a.counted
	}
	// Several end with an error where they are asked for help only.
	out, _ := exec.CommandContext(ctx, path, a.Version...).CombinedOutput()
	s := Setting{Dir: "DIR", Collector: collect.Address(), Interface: "lan0", MaxFlows: 300_000}
	words := append([]string{filepath.Base(a.Program)}, a.Args(s)...)
	for i, word := range words {
		if word != "" && word == a.counted {
			words[i] = filepath.Base(word) // its directory doesn't matter
		}
	}
	return result.Program{
		Name: a.Name, Version: version(string(out)), Package: a.Package, Export: a.Export,
		Captures: a.Captures,
		Command:  strings.Join(words, " "), Why: a.Why,
	}, nil
}

// version finds the first thing that looks like one.
func version(text string) string {
	version := regexp.MustCompile(`v?\d+\.\d+[^\s,)]*|[0-9a-f]{7,}\S*`)
	return strings.TrimRight(version.FindString(text), ".")
}
