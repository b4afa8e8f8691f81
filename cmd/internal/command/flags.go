package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/conntally/conntally/cmd/internal/suggest"
)

// Flags is a flag set with a help text.
type Flags struct {
	*flag.FlagSet
	program, about string
	argument       string  // name of the positional argument; "" means none
	value          *string // of the argument
}

// NewFlags returns an empty flag set for a command of a program, with a line about it for the
// help.
func NewFlags(program, name, about string, stdout io.Writer) *Flags {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stdout)
	fs.Usage = func() {}
	return &Flags{FlagSet: fs, program: program, about: about}
}

// Take allows one positional argument, before, between or after the flags.
func (fs *Flags) Take(name string, value *string) { fs.argument, fs.value = name+" ", value }

// Parse parses args: flags, and the positional argument that Take allows. For --help it
// prints the help and returns flag.ErrHelp.
func (fs *Flags) Parse(args []string) error {
	out := fs.Output()
	fs.SetOutput(io.Discard) // Program.Run prints the error
	err := fs.FlagSet.Parse(args)
	if err == nil && fs.NArg() > 0 && fs.value != nil && *fs.value == "" {
		*fs.value = fs.Arg(0)
		err = fs.FlagSet.Parse(fs.Args()[1:])
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.print(out)
		return err
	case err != nil:
		return UsageError("%s: %s", fs.Name(), fs.explain(err))
	case fs.NArg() > 0:
		return UsageError("%s: unexpected argument %q", fs.Name(), fs.Arg(0))
	}
	return nil
}

// IsSet reports whether the arguments have a flag.
func (fs *Flags) IsSet(name string) (set bool) {
	fs.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

// explain returns the text of an error of the flag package with flags written as in the
// documentation. The error has nothing but its text.
func (fs *Flags) explain(failure error) string {
	text := failure.Error()
	if name, unknown := strings.CutPrefix(text, "flag provided but not defined: -"); unknown {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		if meant := suggest.Closest(name, names); meant != "" {
			return fmt.Sprintf("unknown flag %s; did you mean %s?", dashed(name), dashed(meant))
		}
		return fmt.Sprintf("unknown flag %s; see %s help %s", dashed(name), fs.program, fs.Name())
	}
	want := "want a number" // of the types that say no more than that, this or a truth value
	if strings.HasPrefix(text, "invalid boolean value") {
		want = "want true or false"
	}
	for _, vague := range []string{": parse error", ": value out of range"} {
		if before, found := strings.CutSuffix(text, vague); found {
			text = before + ": " + want
		}
	}
	for _, mark := range []string{"flag needs an argument: -", " for flag -", " for -"} {
		if before, after, found := strings.Cut(text, mark); found {
			name, rest, more := strings.Cut(after, ":")
			if more {
				rest = ":" + rest
			}
			return before + strings.TrimSuffix(mark, "-") + dashed(name) + rest
		}
	}
	return text
}

// dashed returns a flag as the documentation writes it: --name, or -n.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// print prints the help, with flags written as in the documentation.
func (fs *Flags) print(w io.Writer) {
	flags := ""
	fs.VisitAll(func(*flag.Flag) { flags = "[flags]" })
	head := fmt.Sprintf("%s %s %s%s", fs.program, fs.Name(), fs.argument, flags)
	fmt.Fprintf(w, "%s: %s\n", strings.TrimRight(head, " "), fs.about)
	if flags != "" {
		fmt.Fprintln(w)
	}
	fs.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  %-27s  %s", dashed(f.Name)+" "+value, usage)
		if f.DefValue != "" && f.DefValue != "false" && !strings.Contains(usage, "(default ") {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}
