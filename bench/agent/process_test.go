package agent

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/bench/measure"
)

// TestMain lets the test's own program hold others.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == HoldCommand {
		if err := Hold(os.Args[2:], os.NewFile(3, "report")); err != nil {
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// start runs a shell script as a program would be, and returns when it has said
// "ready". Its processes have to be gone when the test ends.
func start(t *testing.T, script string) (*Running, []int) {
	t.Helper()
	l := labtest.New(t, lab.Options{})
	a := &Agent{
		Name: "script", Program: "sh",
		Args: func(Setting) []string { return []string{"-c", script} },
	}
	r, err := a.Start("/proc/self/exe", l.Router, setting(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Kill)
	await(t, "it isn't ready", func() bool { return strings.Contains(r.Log(), "ready") })
	pids, err := measure.Family(r.holder.Process.Pid)
	if err != nil || len(pids) == 0 {
		t.Fatalf("processes %v, %v", pids, err)
	}
	t.Cleanup(func() {
		for _, pid := range pids {
			if err := unix.Kill(pid, 0); !errors.Is(err, unix.ESRCH) {
				t.Errorf("process %d is still there: %v", pid, err)
			}
		}
	})
	return r, pids
}

func await(t *testing.T, otherwise string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
	}
}

// TestStop: all processes end and their CPU time is known, in whatever way a program
// has of being several.
func TestStop(t *testing.T) {
	const busy = `i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; `
	for name, script := range map[string]string{
		"one process":          busy + `echo ready; exec sleep 100`,
		"two":                  `sleep 100 & ` + busy + `echo ready; wait`,
		"in the background":    busy + `sleep 100 & echo ready`,
		"a session of its own": busy + `setsid sleep 100 & echo ready`,
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := start(t, script)
			life, err := r.Stop(t.Context())
			if err != nil || life < time.Millisecond || life > time.Minute {
				t.Errorf("%v, %v", life, err)
			}
		})
	}
}

// TestStopRefused: a program that takes no notice is killed, and that is an error.
func TestStopRefused(t *testing.T) {
	r, _ := start(t, `trap "" TERM; echo ready; while :; do sleep 1; done`)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := r.Stop(ctx); err == nil {
		t.Error("no error")
	}
}

// TestHolderDies: the death of who holds a program, be it by our own, is the end of
// all its processes.
func TestHolderDies(t *testing.T) {
	r, _ := start(t, `(trap "" TERM HUP; setsid sleep 100 & echo ready; exec sleep 100)`)
	if err := unix.Kill(r.holder.Process.Pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-r.ended
	if _, err := r.Usage(); !errors.Is(err, errEarly) {
		t.Errorf("what has ended takes CPU time, or nothing says that it has ended: %v", err)
	}
}

// TestEndIsReported, with what the program printed, however much of it is already gone.
func TestEndIsReported(t *testing.T) {
	r, _ := start(t, `echo ready, but no such interface; sleep 0.1; exit 1`)
	<-r.ended
	for name, use := range map[string]func() error{
		"usage": func() error { _, err := r.Usage(); return err },
		"pin":   func() error { return r.Pin(0) },
	} {
		if err := use(); !errors.Is(err, errEarly) || !strings.Contains(err.Error(), "no such interface") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAwait: a program that ends instead of beginning says why.
func TestAwait(t *testing.T) {
	r, _ := start(t, `echo ready, but no such interface; sleep 0.1; exit 1`)
	if err := r.Await(t.Context()); err == nil ||
		!strings.Contains(err.Error(), "no such interface") {
		t.Errorf("%v", err)
	}
}
