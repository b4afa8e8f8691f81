// Command conntally exports the kernel's connection tracking as NetFlow v9 or
// IPFIX.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/suggest"
)

// Exit codes.
const (
	exitDone  = 0
	exitFail  = 1 // at run time
	exitUsage = 2 // wrong flags or configuration
)

func main() {
	os.Exit(run(firstSignal(), os.Args[1:], os.Stdout, os.Stderr))
}

// command is a subcommand.
type command struct {
	name, arguments, about string
	run                    func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

func commands() []command {
	return []command{
		{"run", "[flags]", "read conntrack and export flows; without a collector, print them",
			runRun},
		{"top", "[flags]", "what moves now, by device, destination, connection or port", runTop},
		{"status", "[flags]", "what the running service does, and what is wrong", runStatus},
		{"devices", "[flags]", "what each device has moved", runDevices},
		{"flows", "[flags]", "the open connections, the fastest first", runFlows},
		{"check", "[flags]", "is this machine ready?", runCheck},
		{"listen", "[flags]", "a small collector: print the flows that arrive", runListen},
		{"demo", "[flags]", "show it at work on a router made of namespaces", runDemo},
		{"collector-config", "KIND [flags]", "print what a collector's configuration needs",
			runCollectorConfig},
		{"version", "", "print the version", runVersion},
	}
}

// errReported is a failure that the output shows already.
var errReported = errors.New("failed")

// errUsage marks errors in the command line or the configuration.
var errUsage = errors.New("usage")

// usageError is an error with exit code 2.
func usageError(format string, args ...any) error {
	return fmt.Errorf("%w%w", hidden{errUsage}, fmt.Errorf(format, args...))
}

// hidden wraps an error for errors.Is, with an empty text.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

// run is the whole program without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case errors.Is(err, errReported):
		return exitFail
	}
	reportFailure(stderr, args, err)
	if errors.Is(err, errUsage) {
		return exitUsage
	}
	return exitFail
}

// reportFailure reports why the program ends: as a line of the log if the configuration can
// be read and sets the JSON format, otherwise as text.
func reportFailure(w io.Writer, args []string, failure error) {
	if len(args) > 0 && args[0] == "run" {
		if c, _, err := loadConfig(args[1:], io.Discard); err == nil &&
			c.Log.Format == logging.FormatJSON {
			logging.New(w, c.Log.Format, zapcore.ErrorLevel).Error("failed", zap.Error(failure))
			return
		}
	}
	logging.Say(w, zapcore.ErrorLevel, fmt.Sprintf("conntally: %v", failure))
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		printUsage(stderr)
		return usageError("no command given")
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		printUsage(stdout)
		return nil
	case "-version", "--version":
		return runVersion(ctx, nil, stdout, stderr)
	}
	var names []string
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
		names = append(names, c.name)
	}
	if meant := suggest.Closest(args[0], names); meant != "" {
		return usageError("%q is not a command; did you mean %s?", args[0], meant)
	}
	return usageError("%q is not a command; see conntally help", args[0])
}

func printUsage(w io.Writer) {
	fmt.Fprint(w, "conntally exports the kernel's connection tracking as NetFlow v9 or IPFIX.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  conntally %-16s %-12s %s\n", c.name, c.arguments, c.about)
	}
	fmt.Fprint(w, "\nconntally COMMAND --help lists a command's flags.\n")
}
