package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/control/controltest"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/httpserver"
)

// serveHome serves the fake home on a socket until the end of the test.
func serveHome(t *testing.T) (path string, source *controltest.Source) {
	t.Helper()
	path, source = filepath.Join(t.TempDir(), "control.sock"), controltest.New(time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := control.Serve(ctx, path, source, httpserver.New(zap.NewNop()), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); wait() })
	return path, source
}

// TestCommandsAskService: what each prints, and its exit code.
func TestCommandsAskService(t *testing.T) {
	path, _ := serveHome(t)
	for _, c := range []struct {
		args   string
		code   int
		stdout string // is part of it
		stderr string
	}{
		{"status", command.ExitDone, "reading netlink every 10s\n6 connections, 4 devices\n", ""},
		{"status --json", command.ExitDone, `{"version":"1.2.3","source":"netlink",`, ""},
		{"devices", command.ExitDone, "  192.0.2.122    1.2 GB   34.1 GB ", ""},
		{"devices --json", command.ExitDone, `[{"device":"02:00:00:00:00:01","name":"smart-tv",`, ""},
		{"flows", command.ExitDone, "  udp    >  203.0.113.123:123", ""},
		{"flows --limit 2", command.ExitDone, "4 more are not shown; see --limit\n", ""},
		{"flows --device SMART-TV --json", command.ExitDone, `"omitted":0,"flows":[{"id":"0`, ""},
		{"flows --device smart-t", command.ExitFailed, "", `is no device; did you mean "smart-tv"?`},
		{"flows --device 192.0.2.200", command.ExitFailed, "", `"192.0.2.200": no such device;`},
	} {
		var stdout, stderr bytes.Buffer
		args := append(strings.Fields(c.args), "--socket", path)
		code := run(t.Context(), args, &stdout, &stderr)
		out, err := stdout.String(), stderr.String()
		says := strings.Contains(out, c.stdout) && strings.Contains(err, c.stderr)
		if code != c.code || !says {
			t.Errorf("conntally %s: exit %d, want %d\nstdout: %s\nstderr: %s",
				c.args, code, c.code, out, err)
		}
		if c.code != command.ExitDone && stdout.Len() > 0 {
			t.Errorf("conntally %s: prints %s", c.args, &stdout)
		}
	}
}

// TestSocketOfRuntimeDirectory: the service manager says where it is.
func TestSocketOfRuntimeDirectory(t *testing.T) {
	path, _ := serveHome(t)
	t.Setenv("RUNTIME_DIRECTORY", filepath.Dir(path)+":/run/other")
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"status"}, &stdout, &stderr)
	if code != command.ExitDone || stdout.Len() == 0 {
		t.Errorf("exit %d: %s%s", code, &stdout, &stderr)
	}
}

// ending is a writer that ends what writes to it.
type ending struct {
	bytes.Buffer
	end func()
}

func (e *ending) Write(b []byte) (int, error) {
	e.end()
	return e.Buffer.Write(b)
}

// TestTopTellsWhatFails: on standard error, where rows are printed.
func TestTopTellsWhatFails(t *testing.T) {
	path, source := serveHome(t)
	source.Change(func(s *control.Status, _ *[]control.Device, _ *[]control.Flow) {
		s.Conditions = []condition.Condition{
			condition.Complete(condition.Condition{ID: condition.NotTracked}),
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), *patience)
	defer cancel()
	var stdout bytes.Buffer
	stderr := ending{end: cancel}
	code := run(ctx, []string{"top", "--once", "--socket", path}, &stdout, &stderr)
	const want = "failing: no rule enables connection tracking: nothing can be exported\n"
	if code != command.ExitDone || stderr.String() != want || stdout.Len() > 0 {
		t.Errorf("exit %d: %s%s", code, &stdout, &stderr)
	}
}

// TestRowsComeWithWhatFails: on standard error, so that JSON stays readable for programs.
func TestRowsComeWithWhatFails(t *testing.T) {
	path, source := serveHome(t)
	source.Change(func(s *control.Status, _ *[]control.Device, _ *[]control.Flow) {
		s.Conditions = []condition.Condition{
			condition.Complete(condition.Condition{ID: condition.TimestampOff}),
			condition.Complete(condition.Condition{ID: condition.AcctOff}),
		}
	})
	const want = "failing: nf_conntrack_acct is 0: no packets or bytes are counted\n"
	for _, args := range []string{"devices", "devices --json", "flows", "flows --json"} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append(strings.Fields(args), "--socket", path), &stdout, &stderr)
		if code != command.ExitDone || stderr.String() != want || stdout.Len() == 0 {
			t.Errorf("conntally %s: exit %d: %s\nstandard error: %s", args, code, &stdout, &stderr)
		}
	}
}
