package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// screen is a pseudoterminal of 80x24 with a program on it.
type screen struct {
	t      *testing.T
	master *os.File
	slave  *os.File
	mu     sync.Mutex
	output bytes.Buffer
	grown  chan struct{} // gets a value after more output
}

func newScreen(t *testing.T) *screen {
	t.Helper()
	p := &screen{t: t, grown: make(chan struct{}, 1)}
	p.master, p.slave = pty(t)
	t.Cleanup(func() { p.slave.Close() })
	size := unix.Winsize{Row: 24, Col: 80}
	if err := unix.IoctlSetWinsize(int(p.slave.Fd()), unix.TIOCSWINSZ, &size); err != nil {
		t.Fatal(err)
	}
	go p.read()
	return p
}

func (p *screen) read() {
	b := make([]byte, 1<<16)
	for {
		n, err := p.master.Read(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		p.output.Write(b[:n])
		p.mu.Unlock()
		select {
		case p.grown <- struct{}{}:
		default:
		}
	}
}

// start starts the program with the terminal as its controlling one.
func (p *screen) start(args ...string) (ended chan error, cmd *exec.Cmd) {
	p.t.Helper()
	cmd = exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.slave, p.slave, p.slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it may have ended
	ended = make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	return ended, cmd
}

// await waits until the program has written a text.
func (p *screen) await(text string) {
	p.t.Helper()
	late := time.After(*patience)
	for {
		p.mu.Lock()
		output := p.output.String()
		p.mu.Unlock()
		if strings.Contains(output, text) {
			return
		}
		select {
		case <-p.grown:
		case <-late:
			p.t.Fatalf("no %q in %q", text, output)
		}
	}
}

func (p *screen) modes() unix.Termios {
	p.t.Helper()
	modes, err := unix.IoctlGetTermios(int(p.slave.Fd()), unix.TCGETS)
	if err != nil {
		p.t.Fatal(err)
	}
	return *modes
}

// TestTopRestoresTerminal: whatever ends it.
func TestTopRestoresTerminal(t *testing.T) {
	const leave = "\x1b[?25h\x1b[?1049l"
	socket, _ := serveHome(t)
	for name, end := range map[string]func(*screen, *exec.Cmd){
		"q":       func(p *screen, _ *exec.Cmd) { _, _ = p.master.WriteString("q") },
		"Ctrl-C":  func(p *screen, _ *exec.Cmd) { _, _ = p.master.WriteString("\x03") },
		"SIGTERM": func(_ *screen, cmd *exec.Cmd) { _ = cmd.Process.Signal(unix.SIGTERM) },
		"SIGHUP":  func(_ *screen, cmd *exec.Cmd) { _ = cmd.Process.Signal(unix.SIGHUP) },
	} {
		t.Run(name, func(t *testing.T) {
			p := newScreen(t)
			before := p.modes()
			ended, cmd := p.start("top", "--socket", socket)
			p.await("smart-tv")
			if p.modes() == before {
				t.Error("the terminal isn't raw")
			}
			end(p, cmd)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			p.await(leave)
			if p.modes() != before {
				t.Error("the terminal has other modes than before")
			}
		})
	}
}

// TestTopEndsWithItsTerminal: it doesn't run on for nobody.
func TestTopEndsWithItsTerminal(t *testing.T) {
	socket, _ := serveHome(t)
	p := newScreen(t)
	ended, _ := p.start("top", "--socket", socket)
	p.await("smart-tv")
	p.slave.Close()
	p.master.Close()
	select {
	case <-ended:
	case <-time.After(*patience):
		t.Error("it runs on")
	}
}
