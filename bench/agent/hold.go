package agent

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// HoldCommand is the argument that makes a program call Hold.
const HoldCommand = "hold-agent"

// Hold is the first process of a PID namespace: it runs the command args and ends
// when all of its processes have. They end with Hold, including those that
// went into the background or changed their user. SIGTERM is passed on. The
// CPU time of all in ns is written to report at the end.
func Hold(args []string, report io.Writer) error {
	if unix.Getpid() != 1 {
		return fmt.Errorf("agent: %s is for the first process of a PID namespace", HoldCommand)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGTERM)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	var stopping atomic.Bool
	go func() {
		for range signals {
			stopping.Store(true)
			passOn(cmd.Process.Pid)
		}
	}()
	reap(func(pid int) {
		if pid == cmd.Process.Pid && stopping.Load() {
			_ = unix.Kill(-1, unix.SIGTERM) // what it has left behind
		}
	})
	var ru unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &ru); err != nil {
		return err
	}
	_, err := fmt.Fprint(report, ru.Utime.Nano()+ru.Stime.Nano())
	return err
}

// passOn sends SIGTERM to the first process, which stops its children; or, if the first
// process has exited since the program went into the background, to all processes.
func passOn(first int) {
	if unix.Kill(first, unix.SIGTERM) != nil {
		_ = unix.Kill(-1, unix.SIGTERM)
	}
}

// reap waits for all children, adopted ones included, and calls ended for each.
func reap(ended func(pid int)) {
	for {
		pid, err := unix.Wait4(-1, nil, 0, nil)
		switch {
		case err == nil:
			ended(pid)
		case err != unix.EINTR:
			return // ECHILD
		}
	}
}
