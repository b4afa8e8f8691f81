// Command conntally-history collects flow records and keeps who moved how much, by hour, day
// and month.
package main

import (
	"context"
	"io"
	"os"

	"github.com/conntally/conntally/cmd/internal/command"
)

// Stamped by the build: -ldflags "-X main.version=...", and so on.
var (
	version = "devel"
	commit  string
	date    string
)

const name = "conntally-history"

func main() {
	os.Exit(run(command.FirstSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return program().Run(ctx, args, stdout, stderr)
}

func program() *command.Program {
	return &command.Program{
		Name:    name,
		About:   "conntally-history keeps who moved how much, by hour, day and month.",
		Version: command.Version{Version: version, Commit: commit, Date: date},
		Commands: []command.Command{
			{Name: "serve", Arguments: "[flags]", Run: runServe,
				About: "receive flow records and keep who moved how much"},
			{Name: "report", Arguments: "[flags]", Run: runReport,
				About: "who used how much: by device, destination, service, hour, day, month"},
			{Name: "check", Arguments: "[flags]", Run: runCheck,
				About: "can it work as configured, and is something wrong?"},
			{Name: "export", Arguments: "[KIND] [flags]", Run: runExport, Values: exportKinds(),
				About: "print all that is kept, as CSV or JSON"},
			{Name: "import", Arguments: "[FILE] [flags]", Run: runImport,
				About: "add usage that export, nlbwmon or vnStat has printed"},
			{Name: "demo", Arguments: "[flags]", Run: runDemo,
				About: "show it at work on a router made of namespaces"},
		},
	}
}
