package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/cmd/conntally/top"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/terminal"
)

// runTop is `conntally top`.
func runTop(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, socket, err := parseTop(args, stdout)
	if err != nil {
		return err
	}
	source, closer, err := openSource(ctx, socket)
	if err != nil {
		return fmt.Errorf("top: %w", err)
	}
	o.Source, o.Failures = source, stderr
	shown := showTop(ctx, o, stdout)
	// A probe of its own that has ended says why.
	if err := errors.Join(shown, closer.Close()); err != nil {
		return fmt.Errorf("top: %w", err)
	}
	return nil
}

// showTop shows a page on a terminal, and otherwise prints rows.
func showTop(ctx context.Context, o *top.Options, stdout io.Writer) error {
	out := terminal.Of(stdout)
	if out != nil && !o.Once && !o.JSON && !terminal.IsDumb() {
		if keys := keyboard(); keys != nil {
			defer keys.Close()
			return o.OnTerminal(ctx, keys, out, terminal.Colourful(stdout))
		}
	}
	return o.Print(ctx, stdout, terminal.Columns(stdout))
}

// keyboard returns the controlling terminal to read keys from, or nil if there is none.
func keyboard() *os.File {
	f, err := os.Open("/dev/tty")
	if err != nil {
		return nil
	}
	return f
}

// parseTop returns what the arguments ask for; socket is "" if they name none.
func parseTop(args []string, stdout io.Writer) (o *top.Options, socket string, err error) {
	o = &top.Options{}
	fs := newFlags("top", "what moves now, refreshed every 2 s; piped, plain rows", stdout)
	by := "rows are each a `KIND`: " + strings.Join(top.Views(), ", ") + " (default device)"
	fs.Func("by", by, func(s string) (err error) {
		o.View, err = top.ParseView(s)
		return err
	})
	order := "sort by `ORDER`: " + strings.Join(top.Sorts(), ", ") + " (default total)"
	fs.Func("sort", order, func(s string) (err error) {
		o.Sort, err = top.ParseSort(s)
		return err
	})
	fs.BoolVar(&o.Once, "once", false, "print once, after 2 s, and end")
	fs.IntVar(&o.Rows, "n", 0, "at most `N` rows (default 20 where they are printed, all as JSON)")
	asking := bindAsking(fs, "one JSON object per refresh")
	if err := fs.Parse(args); err != nil {
		return nil, "", err
	}
	if o.Rows < 0 {
		return nil, "", command.UsageError("top: -n: want a number of rows")
	}
	o.JSON = *asking.asJSON
	return o, *asking.socket, nil
}

// openSource returns the running service, or, if there is none and no socket is asked for,
// what reads the kernel itself.
func openSource(ctx context.Context, socket string) (control.Source, io.Closer, error) {
	if socket != "" {
		client, err := control.Dial(ctx, socket)
		return client, io.NopCloser(nil), err
	}
	client, err := control.Dial(ctx, control.DefaultPath())
	if err == nil {
		return client, io.NopCloser(nil), nil
	}
	if !errors.Is(err, control.ErrNotRunning) {
		return nil, nil, err
	}
	return localSource(ctx, err)
}

// localSource returns a source that reads the kernel itself, until it is closed. unserved is
// why the service can't be asked.
func localSource(ctx context.Context, unserved error) (control.Source, io.Closer, error) {
	c := config.Default()
	c.Control.Socket = ""
	p, err := probe.New(ctx, probe.Options{Config: c, Version: version, Log: zap.NewNop()})
	if err != nil {
		return nil, nil,
			errors.Join(unserved, fmt.Errorf("nor can the kernel be read: %w", explain(err)))
	}
	ctx, cancel := context.WithCancel(ctx)
	l := &localProbe{probe: p, cancel: cancel, done: make(chan error, 1)}
	go func() { l.done <- p.Run(ctx) }()
	return p.Source(), l, nil
}

// localProbe is a probe in this process.
type localProbe struct {
	probe  *probe.Probe
	cancel context.CancelFunc
	done   chan error
}

// Close ends the probe, and returns why it has failed, if so.
func (l *localProbe) Close() error {
	l.cancel()
	err := <-l.done
	_ = l.probe.Close() // nothing is read from its sockets any more
	return err
}
