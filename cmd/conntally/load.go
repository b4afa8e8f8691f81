package main

import (
	"flag"
	"fmt"
	"io"

	"github.com/conntally/conntally/cmd/conntally/config"
)

// loadConfig returns the configuration of the args of `conntally run` and of the file that
// they name.
func loadConfig(args []string, stdout io.Writer) (*config.Config, config.Args, error) {
	c, a, err := config.Load(func(bind func(*flag.FlagSet)) error {
		fs := newFlags("run", "read conntrack and export flows; without a collector, print them",
			stdout)
		bind(fs.FlagSet)
		return fs.parse(args)
	})
	if err != nil {
		return nil, a, usageError("%w", err)
	}
	return c, a, nil
}

// reportConfigOK prints the result of --check-config for a valid configuration.
func reportConfigOK(a config.Args, stdout io.Writer) error {
	what := a.File
	if what == "" {
		what = "flags"
	}
	_, err := fmt.Fprintf(stdout, "%s: ok\n", what)
	return err
}
