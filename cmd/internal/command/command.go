// Package command is the command line of a program: its commands, their flags and help, and
// the exit status.
//
//	["run", "--nat", "wire"] -> Program.Run -> Command.Run -> exit status
package command

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/suggest"
)

// Exit codes.
const (
	ExitDone   = 0
	ExitFailed = 1 // at run time
	ExitUsage  = 2 // wrong flags or configuration
)

// Program is a program with commands. It has two of its own, version and help.
type Program struct {
	Name     string
	About    string // a sentence
	Version  Version
	Commands []Command
	// LogsJSON reports whether a failure of args is to be a line of a log in JSON. It may be
	// nil.
	LogsJSON func(args []string) bool
}

// Command is one of the commands of a program.
type Command struct {
	Name, Arguments, About string
	Values                 []string // that the argument may have, if they are few
	Run                    func(ctx context.Context, args []string, stdout, stderr io.Writer) error
}

// All returns all commands: the program's, then version and help.
func (p *Program) All() []Command {
	all := append([]Command(nil), p.Commands...)
	all = append(all, Command{
		Name: "version", Arguments: "[flags]", About: "print the version", Run: p.version,
	})
	names := make([]string, 0, len(all)+1)
	for _, c := range all {
		names = append(names, c.Name)
	}
	return append(all, Command{
		Name: "help", Arguments: "[COMMAND]", About: "list the commands, or one's flags",
		Values: append(names, "help"), Run: p.help,
	})
}

// Run runs the command that args name, and returns the exit code.
func (p *Program) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := p.dispatch(ctx, args, stdout, stderr)
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return ExitDone
	case errors.Is(err, ErrReported):
		return ExitFailed
	}
	p.Report(stderr, args, err)
	if errors.Is(err, ErrUsage) {
		return ExitUsage
	}
	return ExitFailed
}

// Report reports why the program ends: as a line of the log if that is in JSON, otherwise as
// text.
func (p *Program) Report(w io.Writer, args []string, failure error) {
	if p.LogsJSON != nil && p.LogsJSON(args) {
		logging.New(w, logging.FormatJSON, zapcore.ErrorLevel).Error("failed", zap.Error(failure))
		return
	}
	logging.Say(w, zapcore.ErrorLevel, fmt.Sprintf("%s: %v", p.Name, failure))
}

func (p *Program) dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		p.usage(stderr)
		return UsageError("no command given")
	}
	switch args[0] {
	case "-h", "-help", "--help":
		p.usage(stdout)
		return nil
	case "-V", "-version", "--version":
		return p.version(ctx, args[1:], stdout, stderr)
	}
	if strings.HasPrefix(args[0], "-") {
		return p.unknownFlag(args[0])
	}
	c, err := p.find(args[0])
	if err != nil {
		return err
	}
	return c.Run(ctx, args[1:], stdout, stderr)
}

// unknownFlag returns the error of a flag in the place of the command.
func (p *Program) unknownFlag(flag string) error {
	if meant := suggest.Closest(flag, []string{"--help", "--version"}); meant != "" {
		return UsageError("unknown flag %s; did you mean %s?", flag, meant)
	}
	return UsageError("%s: want a command first; see %s help", flag, p.Name)
}

// find returns a command by its name.
func (p *Program) find(name string) (Command, error) {
	var names []string
	for _, c := range p.All() {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	if meant := suggest.Closest(name, names); meant != "" {
		return Command{}, UsageError("%q is not a command; did you mean %s?", name, meant)
	}
	return Command{}, UsageError("%q is not a command; see %s help", name, p.Name)
}

// help is the command help.
func (p *Program) help(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	name := ""
	fs := NewFlags(p.Name, "help", "list the commands, or one's flags", stdout)
	fs.Take("[COMMAND]", &name)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if name == "" {
		p.usage(stdout)
		return nil
	}
	c, err := p.find(name)
	if err != nil {
		return err
	}
	return c.Run(ctx, []string{"--help"}, stdout, stderr)
}

// usage prints all commands.
func (p *Program) usage(w io.Writer) {
	all := p.All()
	name, arguments := 0, 0
	for _, c := range all {
		name, arguments = max(name, len(c.Name)), max(arguments, len(c.Arguments))
	}
	fmt.Fprintf(w, "%s\n\n", p.About)
	for _, c := range all {
		line := fmt.Sprintf("  %s %-*s %-*s %s", p.Name, name, c.Name, arguments, c.Arguments, c.About)
		fmt.Fprintln(w, strings.TrimRight(line, " "))
	}
	fmt.Fprintf(w, "\n%s help COMMAND lists a command's flags.\n", p.Name)
}
