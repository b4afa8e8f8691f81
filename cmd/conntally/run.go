package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/footprint"
	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/terminal"
	"github.com/conntally/conntally/conntrack/bpf"
	"github.com/conntally/conntally/conntrack/kernel"
)

// runRun is `conntally run`.
func runRun(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, a, err := loadConfig(args, stdout)
	if err != nil {
		return err
	}
	if a.JSON && len(c.Collectors) > 0 {
		return command.UsageError("run: --json: flows are printed only without a collector")
	}
	if a.CheckOnly {
		return reportConfigOK(a, stdout)
	}
	footprint.Save(ctx, c.Metrics.Pprof)
	level := zap.NewAtomicLevelAt(c.Log.Level.Level)
	log := logging.New(stderr, c.Log.Format, level)
	defer log.Sync() //nolint:errcheck // a terminal can't be synced
	ctx, end := context.WithCancel(ctx)
	defer end()
	signals := make(chan os.Signal, 1)
	interactive := !signal.Ignored(syscall.SIGHUP) && hasTerminal() // nohup(1) ignores it
	signal.Notify(signals, syscall.SIGHUP)
	defer signal.Stop(signals)
	reloads := make(chan struct{})
	go hangups(ctx, signals, interactive, reloads, end)

	if c.Conntrack.Track {
		tracking, err := kernel.Track()
		if err != nil {
			return fmt.Errorf("--track: %w", explain(err))
		}
		defer tracking.Close()
	}
	p, err := probe.New(ctx, probe.Options{
		Config: c, Version: version, State: probe.StateDirectory(c),
		Log: log, Level: level, Print: stdout, Form: printForm(a, stdout),
		Load: func() (*config.Config, error) {
			c, _, err := loadConfig(args, io.Discard)
			return c, err
		},
		Reloads: reloads,
		Settled: func() {
			if err := bpf.DropCapabilities(); err != nil {
				log.Warn("capabilities for eBPF are kept: they can't be dropped", zap.Error(err))
			}
			footprint.Release()
		},
	})
	if err != nil {
		return explain(err)
	}
	defer p.Close()
	return p.Run(ctx)
}

// loadConfig returns the configuration of the args of `conntally run` and of the file that
// they name.
func loadConfig(args []string, stdout io.Writer) (*config.Config, config.Args, error) {
	c, a, err := config.Load(func(bind func(*flag.FlagSet)) error {
		fs := newFlags("run", "read conntrack and export flows; without a collector, print them",
			stdout)
		bind(fs.FlagSet)
		return fs.Parse(args)
	})
	if err != nil {
		return nil, a, command.UsageError("%w", err)
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

// printForm returns how flows are printed: as JSON, for a terminal, or in columns.
func printForm(a config.Args, stdout io.Writer) print.Options {
	o := print.Options{JSON: a.JSON}
	if terminal.Of(stdout) != nil {
		o.Columns = func() int { return terminal.Columns(stdout) }
	}
	return o
}

// explain adds to an error of the kernel what would be required.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT): // of socket(2)
		return errors.New("nfnetlink is not loaded: " + condition.Modprobe)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf(
			"this requires CAP_NET_ADMIN, which root has and a service can be given: %w", err)
	}
	return err
}
