package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// fullPipe is the end of a pipe that takes nothing any more, as long as the test lasts.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]) })
	for err := error(nil); err == nil; {
		_, err = unix.Write(fds[1], make([]byte, 1))
	}
	if err := unix.SetNonblock(fds[1], false); err != nil {
		t.Fatal(err)
	}
	w := os.NewFile(uintptr(fds[1]), "pipe")
	t.Cleanup(func() { w.Close() })
	return w
}

// startMute starts conntally with a standard output that takes nothing.
func (r *rig) startMute(args ...string) *process {
	r.t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdout = fullPipe(r.t)
	return r.run(cmd)
}

// awaitTask waits until a file of one of the process's threads has text.
func (p *process) awaitTask(file, text string) {
	p.t.Helper()
	for deadline := time.Now().Add(*patience); ; time.Sleep(10 * time.Millisecond) {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/%s", p.cmd.Process.Pid, file))
		if err != nil || len(tasks) == 0 || time.Now().After(deadline) {
			p.t.Fatalf("no thread has %q in %s (%v):\n%s", text, file, err, p)
		}
		for _, path := range tasks {
			if b, _ := os.ReadFile(path); strings.Contains(string(b), text) { // threads end
				return
			}
		}
	}
}

// endAfter sends a signal until the process has ended: one of the same kind as another that
// was not taken yet is merged with it.
func (p *process) endAfter(s syscall.Signal) error {
	p.t.Helper()
	for range int(*patience / (100 * time.Millisecond)) {
		_ = p.cmd.Process.Signal(s) // it may have ended
		select {
		case err := <-p.exited:
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
	p.t.Fatalf("%s does not end:\n%s", p.cmd.Path, p)
	return nil
}

// awaitWrite waits until the process hangs in writing to the pipe.
func (p *process) awaitWrite() { p.awaitTask("wchan", "pipe_write") }

// TestSecondSignalEndsTheProgram: whatever hangs; here it is the standard output.
func TestSecondSignalEndsTheProgram(t *testing.T) {
	t.Parallel()
	takeSIGINT(t)
	cases := map[string]func(r *rig) *process{
		"run": func(r *rig) *process {
			p := r.startMute("run", "--poll-interval", "1h")
			p.says("reading conntrack")
			r.udp()
			return p
		},
		"demo": func(r *rig) *process {
			p := r.startMute("demo")
			p.awaitWrite()
			return p
		},
	}
	for name, start := range cases {
		for _, signals := range [][2]syscall.Signal{{unix.SIGTERM, unix.SIGTERM},
			{unix.SIGINT, unix.SIGTERM}, {unix.SIGTERM, unix.SIGINT}} {
			t.Run(fmt.Sprint(name, signals), func(t *testing.T) {
				t.Parallel()
				p := start(newRig(t, nil))
				if err := p.cmd.Process.Signal(signals[0]); err != nil {
					t.Fatal(err)
				}
				p.awaitWrite()
				var exit *exec.ExitError
				// by the one taken last
				if err := p.endAfter(signals[1]); !errors.As(err, &exit) ||
					!exit.Sys().(syscall.WaitStatus).Signaled() {
					t.Errorf("ended with %v, want it killed by a signal:\n%s", err, p)
				}
			})
		}
	}
}

// takeSIGINT has the programs that the test starts not ignore SIGINT, where the test itself was
// started so: as a shell's background job, or by `go tool test2json`.
func takeSIGINT(t *testing.T) {
	if !signal.Ignored(unix.SIGINT) {
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT)
	t.Cleanup(func() { signal.Stop(signals) })
}

// TestSlowStandardOutputDelaysNothing: neither reading nor the end, and what is not printed is
// logged.
func TestSlowStandardOutputDelaysNothing(t *testing.T) {
	t.Parallel()
	r := newFaultRig(t, map[string]string{"net/netfilter/nf_conntrack_udp_timeout": "1"})
	p := r.startMute("run", "--poll-interval", "1s", "--metrics", faultMetrics)
	p.says("reading conntrack")
	r.udp()
	p.awaitWrite()
	dumps := r.scrape()["conntrack_dumps_total"]
	r.untilMetrics(p, "two more dumps",
		func(m metrics) bool { return m["conntrack_dumps_total"] >= dumps+2 })
	r.stop(p)
	if !regexp.MustCompile(`WARN +stopped +.*"unprinted_records": 2\b`).MatchString(p.String()) {
		t.Errorf("it says\n%s", p)
	}
}

func (r *rig) udp() {
	r.t.Helper()
	err := r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 3, Size: 64, Answered: true})
	if err != nil {
		r.t.Fatal(err)
	}
}
