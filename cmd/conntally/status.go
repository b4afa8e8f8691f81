package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/show"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/suggest"
	"github.com/conntally/conntally/cmd/internal/terminal"
)

// asking holds the flags of a command that asks the running service.
type asking struct {
	socket *string
	asJSON *bool
}

func bindAsking(fs *command.Flags, object string) asking {
	const socket = "ask the service at the socket `FILE` (default /run/conntally/control.sock)"
	return asking{
		socket: fs.String("socket", "", socket),
		asJSON: fs.Bool("json", false, "print "+object),
	}
}

// path returns the socket's path.
func (a asking) path() string {
	if *a.socket != "" {
		return *a.socket
	}
	return control.DefaultPath()
}

// printJSON prints an object on one line.
func printJSON(w io.Writer, object any) error {
	var b bytes.Buffer
	if err := control.Encode(&b, object); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// pageOf returns where to print tables.
func pageOf(w io.Writer) show.Page {
	return show.Page{Out: w, Columns: terminal.Columns(w), Colour: terminal.Colourful(w), Now: time.Now()}
}

// runStatus is `conntally status`.
func runStatus(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := newFlags("status", "what the running service does, and what is wrong", stdout)
	asking := bindAsking(fs, "one JSON object")
	if err := fs.Parse(args); err != nil {
		return err
	}
	client, err := control.Dial(ctx, asking.path())
	if err != nil {
		return fmt.Errorf("status: %w", err)
	}
	status, err := client.Status(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("status: %w", err)
	case *asking.asJSON:
		return printJSON(stdout, status)
	}
	return pageOf(stdout).Status(&status)
}

// runDevices is `conntally devices`.
func runDevices(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("devices", "what each device has moved since the service knows it", stdout)
	asking := bindAsking(fs, "one JSON array")
	if err := fs.Parse(args); err != nil {
		return err
	}
	client, err := control.Dial(ctx, asking.path())
	if err != nil {
		return fmt.Errorf("devices: %w", err)
	}
	devices, err := client.Devices(ctx, 0)
	if err == nil {
		err = tellFailures(ctx, client, stderr)
	}
	switch {
	case err != nil:
		return fmt.Errorf("devices: %w", err)
	case *asking.asJSON:
		return printJSON(stdout, devices.Devices)
	}
	return pageOf(stdout).Devices(devices)
}

// tellFailures tells what fails, which the rows that follow don't show.
func tellFailures(ctx context.Context, source control.Source, stderr io.Writer) error {
	conditions, err := source.Conditions(ctx)
	if err != nil {
		return err
	}
	failures := show.Failures{Out: stderr}
	failures.Tell(conditions)
	return nil
}

// runFlows is `conntally flows`.
func runFlows(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("flows", "the open connections, the fastest first", stdout)
	asking := bindAsking(fs, "one JSON object")
	device := fs.String("device", "", "only those of the device with this `NAME`, address or MAC")
	limit := fs.Int("limit", control.DefaultLimit, "at most `N` connections, up to 10000")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *limit < 1 || *limit > control.MaxLimit {
		return command.UsageError("flows: --limit: want a number from 1 to %d", control.MaxLimit)
	}
	client, err := control.Dial(ctx, asking.path())
	if err != nil {
		return fmt.Errorf("flows: %w", err)
	}
	flows, err := client.Flows(ctx, *device, *limit, 0)
	if err == nil {
		err = tellFailures(ctx, client, stderr)
	}
	switch {
	case err != nil:
		return fmt.Errorf("flows: %w", explainDevice(ctx, client, *device, err))
	case *asking.asJSON:
		return printJSON(stdout, flows)
	}
	return pageOf(stdout).Flows(flows)
}

// explainDevice adds to ErrNoDevice the name that may have been meant.
func explainDevice(ctx context.Context, source control.Source, name string, err error) error {
	if !errors.Is(err, control.ErrNoDevice) {
		return err
	}
	devices, failure := source.Devices(ctx, 0)
	if failure != nil {
		return err
	}
	var names []string
	for i := range devices.Devices {
		names = append(names, devices.Devices[i].Name)
	}
	if meant := suggest.Closest(name, names); meant != "" {
		return fmt.Errorf("%q is no device; did you mean %q?", name, meant)
	}
	return fmt.Errorf("%q: %w", name, err)
}
