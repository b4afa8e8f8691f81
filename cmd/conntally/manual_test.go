package main

import (
	"flag"
	"testing"

	"github.com/conntally/conntally/cmd/conntally/top"
	"github.com/conntally/conntally/cmd/internal/command/commandtest"
)

//go:generate go test -run ^TestManualIsCurrent$ -update .

var update = flag.Bool("update", false, "write the manual page and the completions")

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
	}
}

// TestManualIsCurrent: the manual page and the completions agree with --help.
func TestManualIsCurrent(t *testing.T) { documents().Check(t, *update) }

// TestDocumentsAreParsed: mandoc's linter has no warnings, and each shell reads its file.
func TestDocumentsAreParsed(t *testing.T) { documents().Parse(t, need) }

const manualHead = `.TH CONNTALLY 1 2026-11-20 conntally "User Commands"
.SH NAME
conntally \- export connection tracking as NetFlow v9 or IPFIX
.SH SYNOPSIS
`

const manualAbout = `.SH DESCRIPTION
The kernel of a Linux router counts the packets and bytes of each connection
that it tracks.
.B conntally run
reads these counters and sends them to flow collectors; without a collector it
prints the flows.
It takes the capability CAP_NET_ADMIN.
.B conntally check
shows what a machine lacks, and which command fixes it.
.BR "conntally top" ,
.BR status ,
.B devices
and
.B flows
ask the running service over its control socket; docs/control.md describes the
keys of
.B top
and all JSON objects.
.SH COMMANDS
`

const manualTail = `.SH EXIT STATUS
.TP
.B 0
Done.
.TP
.B 1
It failed;
.B conntally check
found what fails.
.TP
.B 2
The command line or the configuration is wrong.
.SH SIGNALS
.B conntally run
exports all that is pending at SIGTERM and SIGINT, then ends, and reads its
configuration again at SIGHUP. A second SIGTERM or SIGINT ends any command at once.
.SH ENVIRONMENT
.TP
.B STATE_DIRECTORY
Where
.B conntally run
records what it has exported, so that a restart counts nothing twice, unless the configuration says where.
.TP
.B NO_COLOR
If it is not empty, no command prints colours.
.TP
.B TERM
If it is dumb,
.B conntally top
prints plain rows.
.TP
.B RUNTIME_DIRECTORY
The directory of the control socket, in place of /run/conntally.
.SH FILES
.TP
.I /run/conntally/control.sock
What the service answers questions at: HTTP and JSON, read only. It belongs to
the user and the group of the service.
.TP
.I /etc/conntally.toml
What the service reads. All keys are described in
.IR /usr/share/doc/conntally/docs/configuration.md .
.SH EXAMPLES
.TP
.B sudo conntally check
Is this machine ready?
.TP
.B sudo conntally run
Print flows as they end or go idle, and long ones every minute.
.TP
.B sudo conntally run \-\-collector 192.0.2.10:2055
Export by IPFIX.
.TP
.B conntally top \-\-by destination
Watch where traffic goes now.
.SH SEE ALSO
.BR conntrack (8),
.BR nft (8),
.BR sysctl (8)
`
