package main

import (
	"flag"
	"testing"

	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/internal/command/commandtest"
)

//go:generate go test -run ^TestManualIsCurrent$ -update .

var update = flag.Bool("update", false, "write the manual page and the completions")

// documents are what is installed beside the program.
func documents() *commandtest.Documents {
	return &commandtest.Documents{
		Program: program(), Module: "../../module",
		Choices: map[string][]string{
			"--by": report.Kinds(), "--period": report.Periods(), "--scope": report.Scopes(),
			"--log-level": {"debug", "info", "warn", "error"},
		},
		Head: manualHead, About: manualAbout, Tail: manualTail,
	}
}

// TestManualIsCurrent: the manual page and the completions agree with --help.
func TestManualIsCurrent(t *testing.T) { documents().Check(t, *update) }

// TestDocumentsAreParsed: mandoc's linter has no warnings, and each shell reads its file.
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

func TestFishCompletes(t *testing.T) { documents().Fish(t, need, completions()) }

const manualHead = `.TH CONNTALLY-HISTORY 1 2026-11-29 conntally "User Commands"
.SH NAME
conntally-history \- keep who moved how much, by hour, day and month
.SH SYNOPSIS
`

const manualAbout = `.SH DESCRIPTION
A collector of IPFIX and NetFlow v9 with memory:
.B conntally-history serve
receives the records of
.BR conntally (1)
and other exporters, adds up what each device moved, and keeps it in one SQLite
file.
.B report
answers who used how much; all times are local.
The database belongs to the service, so that the other commands need root.
.SH COMMANDS
`

const manualTail = `.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
It failed;
.B report \-\-quota
found a quota that is exceeded.
.TP
.B 2
The command line or the configuration is wrong.
.SH SIGNALS
.B conntally-history serve
writes what it has counted at SIGTERM and SIGINT, then ends. A second SIGTERM or
SIGINT ends any command at once.
.SH ENVIRONMENT
.TP
.B STATE_DIRECTORY
Where history.db is, unless the configuration says where.
.TP
.B TZ
The time zone of hours, days and months.
.SH FILES
.TP
.I /etc/conntally-history.toml
The configuration; it may be absent.
.TP
.I /var/lib/conntally-history/history.db
The database.
.SH EXAMPLES
.TP
.B sudo conntally-history report
Who used how much this month?
.TP
.B sudo conntally-history report \-\-by destination \-\-device smart-tv \-\-from 7d
What does the TV talk to, and how often?
.TP
.B sudo conntally-history report \-\-by total \-\-period day
Each day of this month, all devices together.
.TP
.B sudo conntally-history report \-\-by destination \-\-new
What is new since yesterday?
.TP
.B sudo conntally-history report \-\-quota || echo exceeded
Is a quota of the configuration exceeded?
.TP
.B sudo conntally-history export \-\-json > usage.json
All that is kept, by hour, day and month.
.SH SEE ALSO
.BR conntally (1),
.BR sqlite3 (1),
.BR systemd.resource-control (5)
`
