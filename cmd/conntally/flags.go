package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// flags is a flag set with a help text.
type flags struct {
	*flag.FlagSet
	about string
}

// newFlags returns an empty flag set whose help is about one command.
func newFlags(name, about string, stdout io.Writer) *flags {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stdout)
	fs.Usage = func() {}
	return &flags{FlagSet: fs, about: about}
}

// parse parses args, all of which must be flags. Asked for help, it prints it and
// returns flag.ErrHelp.
func (fs *flags) parse(args []string) error {
	out := fs.Output()
	fs.SetOutput(io.Discard) // run prints the error
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.print(out)
		return err
	case err != nil:
		return usageError("%s: %v", fs.Name(), err)
	case fs.NArg() > 0:
		return usageError("%s: unexpected argument %q", fs.Name(), fs.Arg(0))
	}
	return nil
}

// print prints the flags as our documentation writes them.
func (fs *flags) print(w io.Writer) {
	fmt.Fprintf(w, "conntally %s [flags]: %s\n\n", fs.Name(), fs.about)
	fs.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(w, "  %-27s  %s", "--"+f.Name+" "+value, usage)
		if f.DefValue != "" && f.DefValue != "false" {
			fmt.Fprintf(w, " (default %s)", f.DefValue)
		}
		fmt.Fprintln(w)
	})
}
