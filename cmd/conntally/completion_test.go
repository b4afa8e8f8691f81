package main

import (
	"bytes"
	"testing"

	"github.com/conntally/conntally/cmd/internal/command/commandtest"
)

// TestCompletedValuesAreValid: each value that completion offers is accepted, and no other.
func TestCompletedValuesAreValid(t *testing.T) {
	for _, f := range commandtest.Valued(commandtest.Describe(t, program())) {
		words, chosen := documents().Choices[f.Name]
		for _, word := range words {
			if err := tryFlag(f.Name, word); err != nil {
				t.Errorf("%s %s: %v", f.Name, word, err)
			}
		}
		if err := tryFlag(f.Name, "frobnicate"); chosen && err == nil {
			t.Errorf("%s takes anything", f.Name)
		}
	}
}

func tryFlag(name, value string) error {
	if name == "--by" || name == "--sort" {
		_, _, err := parseTop([]string{name, value}, new(bytes.Buffer))
		return err
	}
	_, _, err := loadConfig([]string{name, value}, new(bytes.Buffer))
	return err
}

// completions are what is offered for the last word of a line.
func completions() []commandtest.Completion {
	return []commandtest.Completion{
		{Line: "conntally ", Want: "names"},
		{Line: "conntally ch", Want: "check"},
		{Line: "conntally check --", Want: "--config --json"},
		{Line: "conntally check --j", Want: "--json"},
		{Line: "conntally run --protocol ", Want: "ipfix netflow9"},
		{Line: "conntally run --track --nat w", Want: "wire"},
		{Line: "conntally run --active-timeout ", Want: ""},
		{Line: "conntally version --", Want: "--json"},
		{Line: "conntally top --by ", Want: "device destination connection port"},
		{Line: "conntally top --sort t", Want: "total"},
		{Line: "conntally devices --", Want: "--json --socket"},
		{Line: "conntally collector-config g", Want: "goflow2"},
		{Line: "conntally collector-config ", Want: "akvorado goflow2 nfdump pmacct"},
		{Line: "conntally collector-config --co", Want: "--collector --config"},
		{Line: "conntally top -n ", Want: ""},
		{Line: "conntally help col", Want: "collector-config"},
	}
}

func TestBashCompletes(t *testing.T) { documents().Bash(t, need, completions()) }

func TestZshCompletes(t *testing.T) { documents().Zsh(t, need, completions()) }

func TestFishCompletes(t *testing.T) { documents().Fish(t, need, completions()) }
