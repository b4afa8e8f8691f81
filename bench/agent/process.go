package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/measure"
)

// stopTime is how long a program may take to export its last records.
const stopTime = 20 * time.Second

// Running is a program that runs in a router.
type Running struct {
	Agent   *Agent
	Setting Setting
	Router  *lab.Namespace

	holder *exec.Cmd
	output output
	report *os.File // of the holder
	ended  chan struct{}
	err    error // of the end
}

// Start starts a program; self is a program that calls Hold. Stop has to be called.
func (a *Agent) Start(self string, router *lab.Namespace, s Setting) (*Running, error) {
	program, err := a.Path()
	if err != nil {
		return nil, err
	}
	r := &Running{Agent: a, Setting: s, Router: router, ended: make(chan struct{})}
	if err := a.writeFiles(s); err != nil {
		return nil, err
	}
	report, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	r.report = report
	r.holder = exec.Command(self, append([]string{HoldCommand, program}, a.Args(s)...)...)
	r.holder.Dir = s.Dir
	r.holder.Stdout, r.holder.Stderr = &r.output, &r.output
	r.holder.ExtraFiles = []*os.File{w}
	r.holder.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL, Setsid: true,
	}
	if err := r.launch(); err != nil {
		report.Close()
		return nil, fmt.Errorf("%s: %w", a.Name, err)
	}
	return r, nil
}

// launch starts the holder and keeps the thread that did until it has ended: the
// kernel takes the end of that thread for the end of the parent (PR_SET_PDEATHSIG).
func (r *Running) launch() error {
	started := make(chan error)
	go func() {
		defer close(r.ended)
		r.err = r.Router.Do(func() error {
			err := r.holder.Start()
			started <- err
			if err != nil {
				return nil
			}
			return r.holder.Wait()
		})
	}()
	return <-started
}

// Path finds the program.
func (a *Agent) Path() (string, error) {
	if path, err := exec.LookPath(a.Program); err == nil {
		return path, nil
	}
	path, err := exec.LookPath("/usr/sbin/" + a.Program)
	if err != nil {
		return "", fmt.Errorf("%s is missing: Debian has it in package %s", a.Program, a.Package)
	}
	return path, nil
}

// Usage returns the resources that the program has used so far.
func (r *Running) Usage() (measure.Process, error) {
	pids, err := r.processes()
	if err != nil {
		return measure.Process{}, err
	}
	return measure.ReadProcesses(pids)
}

// Pin ties the program to a core.
func (r *Running) Pin(core int) error {
	pids, err := r.processes()
	if err != nil {
		return err
	}
	return measure.Pin(pids, core)
}

// processes returns the program's processes. If there are none, the error says how it ended.
func (r *Running) processes() ([]int, error) {
	pids, err := measure.Family(r.holder.Process.Pid)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(pids) == 0 {
		return nil, r.gone()
	}
	return pids, err
}

// gone returns the error of a program that ended before it was stopped.
func (r *Running) gone() error {
	<-r.ended // the holder is about to exit, too
	return fmt.Errorf("%s has ended: %w; its output:\n%s", r.Agent.Name,
		errors.Join(r.err, errEarly), r.Log())
}

var errEarly = errors.New("before it was stopped")

// Stop lets the program export its last records, waits until all its processes have exited,
// and returns their total CPU time. It kills a program that doesn't exit and returns an
// error.
func (r *Running) Stop(ctx context.Context) (time.Duration, error) {
	defer r.report.Close()
	_ = r.holder.Process.Signal(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	select {
	case <-r.ended:
	case <-ctx.Done():
		r.Kill()
		return 0, fmt.Errorf("%s did not end by itself: %w; its output:\n%s", r.Agent.Name,
			ctx.Err(), r.Log())
	}
	text, err := io.ReadAll(r.report)
	if err != nil {
		return 0, err
	}
	ns, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, r.gone()
	}
	return time.Duration(ns), nil
}

// Kill ends the program at once and waits until all its processes are gone.
func (r *Running) Kill() {
	_ = r.holder.Process.Kill()
	<-r.ended
}

// Log returns what the program has printed and logged so far.
func (r *Running) Log() string {
	file, _ := os.ReadFile(r.Setting.path("log"))
	return r.output.String() + string(file)
}

// output keeps what is printed, the beginning where there is too much.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const outputMost = 1 << 20

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := outputMost - o.text.Len(); room > 0 {
		o.text.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.ToValidUTF8(o.text.String(), "?")
}
