package main

import (
	"context"
	"io"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/check"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/cmd/internal/checklist"
	"github.com/conntally/conntally/cmd/internal/command"
)

// runCheck is `conntally check`.
func runCheck(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("check", "is this machine ready? Exit status 1 where not", stdout)
	file := fs.String("config", "", "look for what this TOML `FILE` wants")
	asJSON := fs.Bool("json", false, "print one JSON array")
	if err := fs.Parse(args); err != nil {
		return err
	}
	c := config.Default()
	if *file != "" {
		if err := c.Read(*file); err != nil {
			return command.UsageError("%w", err)
		}
	}
	results := check.Results(check.ReadState(ctx, requirements(c, *file)))
	return checklist.Report(stdout, results, *asJSON)
}

// shellBytes are the bytes that a shell takes literally.
const shellBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./"

// requirements returns what the configuration asks of the machine.
func requirements(c *config.Config, file string) check.Requirements {
	w := check.Requirements{
		File:          file != "",
		ReceiveBuffer: int(c.Conntrack.ReceiveBuffer), Track: c.Conntrack.Track,
		BPF:     c.Conntrack.Ends != config.EndsByNetlink,
		Command: "conntally check",
	}
	if strings.Trim(file, shellBytes) == "" && file != "" {
		w.Command += " --config " + file
	}
	if c.Devices.Enable {
		w.Leases = c.Devices.Leases
	}
	w.Interfaces = c.FilterInterfaces()
	w.Collectors = probe.Targets(c)
	return w
}
