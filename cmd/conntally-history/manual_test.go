package main

import (
	"flag"
	"testing"

	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/internal/command/commandtest"
)

//go:generate go test -run ^TestManualIsCurrent$ -update .

var update = flag.Bool("update", false, "write the manual pages and the completions")

// documents are what is installed beside the program.
func documents() *commandtest.Documents {
	return &commandtest.Documents{
		Program: program(), Module: "../../module",
		Choices: map[string][]string{
			"--by": report.Kinds(), "--period": report.Periods(), "--scope": report.Scopes(),
			"--log-level": {"debug", "info", "warn", "error"},
		},
		Head: manualHead, About: manualAbout, Tail: manualTail,
		Config: commandtest.Configuration{
			Reference: "config/reference.toml", Schema: config.Config{},
			Head: configHead, Tail: configTail,
		},
	}
}

// TestManualIsCurrent: manual pages and completions agree with --help and the reference file.
func TestManualIsCurrent(t *testing.T) { documents().Check(t, *update) }

// TestMentionedCommandsExist: each command of the program in a document, and its flags.
func TestMentionedCommandsExist(t *testing.T) { documents().CheckMentions(t, "../..") }

// TestDocumentsAreParsed: mandoc's linter finds nothing, and each shell reads its file.
func TestDocumentsAreParsed(t *testing.T) { documents().Parse(t, need) }

// TestCompletedValuesAreValid: each value that completion offers is accepted, and no other.
func TestCompletedValuesAreValid(t *testing.T) {
	for _, name := range []string{"--by", "--period", "--scope"} {
		for _, word := range documents().Choices[name] {
			if _, err := parseReport([]string{name, word}, nil); err != nil {
				t.Errorf("%s %s: %v", name, word, err)
			}
		}
		if _, err := parseReport([]string{name, "frobnicate"}, nil); err == nil {
			t.Errorf("%s takes anything", name)
		}
	}
}

// completions are what is offered for the last word of a line.
func completions() []commandtest.Completion {
	return []commandtest.Completion{
		{Line: "conntally-history ", Want: "names"},
		{Line: "conntally-history rep", Want: "report"},
		{Line: "conntally-history report --by d", Want: "destination device"},
		{Line: "conntally-history report --period ", Want: "hour day month"},
		{Line: "conntally-history report --from ", Want: ""},
		{Line: "conntally-history export s", Want: "services"},
		{Line: "conntally-history import --int", Want: "--interface"},
		{Line: "conntally-history version --", Want: "--json"},
		{Line: "conntally-history help ex", Want: "export"},
	}
}

func TestBashCompletes(t *testing.T) { documents().Bash(t, need, completions()) }

func TestZshCompletes(t *testing.T) { documents().Zsh(t, need, completions()) }

func TestFishCompletes(t *testing.T) { documents().Fish(t, need, completions()) }
