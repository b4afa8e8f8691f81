package main

import (
	"flag"
	"testing"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/top"
	"github.com/conntally/conntally/cmd/internal/command/commandtest"
)

//go:generate go test -run ^TestManualIsCurrent$ -update .

var update = flag.Bool("update", false, "write the manual pages and the completions")

// documents are what is installed beside the program.
func documents() *commandtest.Documents {
	return &commandtest.Documents{
		Program: program(), Module: "../../module",
		Choices: map[string][]string{
			"--protocol":  {"ipfix", "netflow9"},
			"--nat":       {"endpoints", "wire"},
			"--source":    {"netlink", "bpf", "auto"},
			"--log-level": {"debug", "info", "warn", "error"},
			"--by":        top.Views(),
			"--sort":      top.Sorts(),
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
