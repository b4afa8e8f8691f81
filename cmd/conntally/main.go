// Command conntally exports the kernel's connection tracking as NetFlow v9 or
// IPFIX.
package main

import (
	"context"
	"io"
	"os"

	"github.com/conntally/conntally/cmd/conntally/snippet"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/logging"
)

// Stamped by the build: -ldflags "-X main.version=...", and so on.
var (
	version = "devel"
	commit  string
	date    string
)

const name = "conntally"

func main() {
	os.Exit(run(command.FirstSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return program().Run(ctx, args, stdout, stderr)
}

func program() *command.Program {
	return &command.Program{
		Name:     name,
		About:    "conntally exports the kernel's connection tracking as NetFlow v9 or IPFIX.",
		Version:  command.Version{Version: version, Commit: commit, Date: date},
		LogsJSON: logsJSON,
		Commands: []command.Command{
			{Name: "run", Arguments: "[flags]", Run: runRun,
				About: "read conntrack and export flows; without a collector, print them"},
			{Name: "top", Arguments: "[flags]", Run: runTop,
				About: "what moves now, by device, destination, connection or port"},
			{Name: "status", Arguments: "[flags]", Run: runStatus,
				About: "what the running service does, and what is wrong"},
			{Name: "devices", Arguments: "[flags]", Run: runDevices,
				About: "what each device has moved"},
			{Name: "flows", Arguments: "[flags]", Run: runFlows,
				About: "the open connections, the fastest first"},
			{Name: "check", Arguments: "[flags]", Run: runCheck,
				About: "is this machine ready?"},
			{Name: "listen", Arguments: "[flags]", Run: runListen,
				About: "a small collector: print the flows that arrive"},
			{Name: "demo", Arguments: "[flags]", Run: runDemo,
				About: "show it at work on a router made of namespaces"},
			{Name: "collector-config", Arguments: "KIND [flags]", Run: runCollectorConfig,
				Values: snippet.Kinds(), About: "print what a collector's configuration needs"},
		},
	}
}

// logsJSON reports whether a failure is to be a line of the log in JSON: if the configuration
// of `run` can be read and says so.
func logsJSON(args []string) bool {
	if len(args) == 0 || args[0] != "run" {
		return false
	}
	c, _, err := loadConfig(args[1:], io.Discard)
	return err == nil && c.Log.Format == logging.FormatJSON
}

// newFlags returns an empty flag set for a command, with a line about it for the help.
func newFlags(of, about string, stdout io.Writer) *command.Flags {
	return command.NewFlags(name, of, about, stdout)
}
