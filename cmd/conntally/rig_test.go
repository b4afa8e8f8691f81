package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/export/decode"
)

// patience bounds each test's waits; none is expected to take this long, on a busy machine either.
// An emulated one may have to have more.
var patience = flag.Duration("patience", 5*time.Minute, "how long a test waits for anything")

// rig is a lab whose router runs conntally as a process of its own.
type rig struct {
	*lab.Lab
	t   *testing.T
	ctx context.Context
}

func newRig(t *testing.T, sysctls map[string]string) *rig {
	t.Helper()
	return newRigWith(t, lab.Options{Sysctls: sysctls})
}

func newRigWith(t *testing.T, o lab.Options) *rig {
	t.Helper()
	l := labtest.New(t, o)
	ctx, cancel := context.WithTimeout(context.Background(), *patience)
	t.Cleanup(cancel)
	return &rig{Lab: l, t: t, ctx: ctx}
}

// process is a program inside the router.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	exited chan error

	mu     sync.Mutex
	output bytes.Buffer
	lines  chan string
}

// sleeps reports whether the program's main thread waits for something, proc(5).
func (p *process) sleeps() bool {
	p.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, state, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')'):]), " ")
	return strings.HasPrefix(state, "S")
}

// start starts a program in the router, to be killed with the test.
func (r *rig) start(name string, args ...string) *process {
	r.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return r.run(cmd)
}

// run starts a command in the router, to be killed with the test. Unless it is told otherwise, it
// has a control socket of its own: so have other tests, and a service on this machine.
func (r *rig) run(cmd *exec.Cmd) *process {
	r.t.Helper()
	if cmd.Env != nil {
		cmd.Env = append([]string{"RUNTIME_DIRECTORY=" + r.t.TempDir()}, cmd.Env...)
	}
	p := &process{t: r.t, cmd: cmd, exited: make(chan error, 1), lines: make(chan string, 1000)}
	pipe, err := p.cmd.StderrPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if cmd.SysProcAttr == nil { // a group of its own: nfacctd has children
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if err := r.Router.Start(p.cmd); err != nil {
		r.t.Fatal(err)
	}
	go p.read(bufio.NewScanner(pipe))
	r.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		if cmd.SysProcAttr.Setpgid {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
	})
	return p
}

func (p *process) read(s *bufio.Scanner) {
	for s.Scan() {
		p.mu.Lock()
		fmt.Fprintln(&p.output, s.Text())
		p.mu.Unlock()
		select {
		case p.lines <- s.Text():
		default:
		}
	}
	p.exited <- p.cmd.Wait()
}

func (p *process) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// says waits for a line on standard error that contains text.
func (p *process) says(text string) {
	p.t.Helper()
	timeout := time.After(*patience)
	for {
		select {
		case line := <-p.lines:
			if strings.Contains(line, text) {
				return
			}
		case err := <-p.exited:
			p.t.Fatalf("%s ended (%v) before it said %q:\n%s", p.cmd.Path, err, text, p)
		case <-timeout:
			p.t.Fatalf("%s never said %q:\n%s", p.cmd.Path, text, p)
		}
	}
}

// end sends a signal and waits for the process.
func (p *process) end(s syscall.Signal) error {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.exited:
		return err
	case <-time.After(*patience):
		p.t.Fatalf("%s does not end:\n%s", p.cmd.Path, p)
		return nil
	}
}

// probe starts `conntally run` in the router. From its return on all is counted.
func (r *rig) probe(args ...string) *process {
	r.t.Helper()
	p := r.start(os.Args[0], append([]string{"run"}, args...)...)
	p.says("reading conntrack")
	return p
}

// stop ends a program as a service manager does.
func (r *rig) stop(p *process) {
	r.t.Helper()
	if err := p.end(syscall.SIGTERM); err != nil {
		r.t.Fatalf("%s failed: %v\n%s", p.cmd.Path, err, p)
	}
}

// sink is an embedded collector, by default in the router.
type sink struct {
	*server
	t      *testing.T
	rig    *rig
	at     *lab.Namespace
	mu     sync.Mutex
	flows  []decode.Flow
	events []decode.NATEvent
	links  []decode.Interface      // all that were named
	counts map[uint16]int          // data records of flows by version
	from   map[netip.AddrPort]bool // where messages came from
	came   chan struct{}           // a token after each message
	done   chan struct{}
}

func (r *rig) sink() *sink {
	r.t.Helper()
	return r.sinkAt(r.Router, "127.0.0.1:0")
}

// sinkAt returns an embedded collector at an address of a namespace.
func (r *rig) sinkAt(at *lab.Namespace, address string) *sink {
	r.t.Helper()
	s := &sink{t: r.t, rig: r, at: at, counts: map[uint16]int{}, from: map[netip.AddrPort]bool{},
		came: make(chan struct{}, 1), done: make(chan struct{})}
	err := at.Do(func() (err error) { s.server, err = newServer(address); return err })
	if err != nil {
		r.t.Fatal(err)
	}
	go s.collect()
	r.t.Cleanup(func() { s.Close(); <-s.done })
	return s
}

func (s *sink) collect() {
	defer close(s.done)
	_ = s.serve(func(m decode.Message, err error) {
		if err != nil {
			s.t.Errorf("bad datagram: %v", err)
		}
		s.mu.Lock()
		s.flows = append(s.flows, m.Flows...)
		s.events = append(s.events, m.NATEvents...)
		s.counts[m.Version] += m.DataRecords - m.OptionRecords - len(m.NATEvents)
		s.links = append(s.links, m.Interfaces...)
		s.from[m.Exporter] = true
		s.mu.Unlock()
		for _, f := range m.Flows {
			if f.Input == 0 && f.Output == 0 {
				s.t.Errorf("no interface at all: %+v", f)
			}
		}
		select {
		case s.came <- struct{}{}:
		default:
		}
	})
}

// until waits for the flows that have arrived to satisfy enough, and returns them.
func (s *sink) until(what string, enough func([]decode.Flow) bool) []decode.Flow {
	s.t.Helper()
	timeout := time.After(*patience)
	for {
		s.mu.Lock()
		flows := append([]decode.Flow(nil), s.flows...)
		s.mu.Unlock()
		if enough(flows) {
			return flows
		}
		select {
		case <-s.came:
		case <-timeout:
			s.t.Fatalf("waited in vain for %s; have %d flows:\n%v", what, len(flows), flows)
		}
	}
}

// records returns how many records of flows have come by a protocol's version.
func (s *sink) records(version uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[version]
}

// all returns what has arrived when everything that was sent is read.
func (s *sink) all() []decode.Flow {
	s.t.Helper()
	if err := s.at.Do(s.Finish); err != nil {
		s.t.Fatal(err)
	}
	<-s.done
	return s.flows
}

// configFile writes a configuration, and returns its path.
func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "conntally.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// collectorSection is the section of one at some port.
func collectorSection(address string) string {
	return fmt.Sprintf("[[collector]]\naddress = %q\n", address)
}

// need returns the path of a program, or skips the test.
func need(t *testing.T, program string) string {
	t.Helper()
	return labtest.Program(t, program, "../../.tools")
}
