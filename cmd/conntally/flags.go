package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/conntally/conntally/cmd/internal/suggest"
)

// flags is a flag set with a help text.
type flags struct {
	*flag.FlagSet
	about    string
	argument string  // name of the positional argument; "" means none
	value    *string // of the argument
}

// newFlags returns an empty flag set for a command, with a line about it for the help.
func newFlags(name, about string, stdout io.Writer) *flags {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stdout)
	fs.Usage = func() {}
	return &flags{FlagSet: fs, about: about}
}

// take allows one positional argument, before, between or after the flags.
func (fs *flags) take(name string, value *string) { fs.argument, fs.value = name+" ", value }

// parse parses args: flags, and the positional argument that take allows. For --help it
// prints the help and returns flag.ErrHelp.
func (fs *flags) parse(args []string) error {
	out := fs.Output()
	fs.SetOutput(io.Discard) // run prints the error
	err := fs.Parse(args)
	if err == nil && fs.NArg() > 0 && fs.value != nil && *fs.value == "" {
		*fs.value = fs.Arg(0)
		err = fs.Parse(fs.Args()[1:])
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.print(out)
		return err
	case err != nil:
		return usageError("%s: %s", fs.Name(), fs.explain(err))
	case fs.NArg() > 0:
		return usageError("%s: unexpected argument %q", fs.Name(), fs.Arg(0))
	}
	return nil
}

// explain returns the text of an error of the flag package with flags written as in the
// documentation, --name. The error has nothing but its text.
func (fs *flags) explain(failure error) string {
	text := failure.Error()
	if name, unknown := strings.CutPrefix(text, "flag provided but not defined: -"); unknown {
		var names []string
		fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
		if meant := suggest.Closest(name, names); meant != "" {
			return fmt.Sprintf("unknown flag --%s; did you mean --%s?", name, meant)
		}
		return fmt.Sprintf("unknown flag --%s; see conntally %s --help", name, fs.Name())
	}
	for _, before := range []string{"flag needs an argument: -", " for flag -", " for -"} {
		if strings.Contains(text, before) {
			return strings.Replace(text, before, before+"-", 1)
		}
	}
	return text
}

// print prints the help, with flags written as in the documentation.
func (fs *flags) print(w io.Writer) {
	fmt.Fprintf(w, "conntally %s %s[flags]: %s\n\n", fs.Name(), fs.argument, fs.about)
	fs.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  %-27s  %s", "--"+f.Name+" "+value, usage)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}
