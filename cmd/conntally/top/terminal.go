package top

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/conntally/conntally/cmd/internal/text"
)

// Escape sequences (ECMA-48, and xterm's private modes).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l" // the alternate screen, without a cursor
	leaveScreen = "\x1b[0m\x1b[?25h\x1b[?1049l"
	unstyled    = "\x1b[0m"
)

// sequences returns what starts a style.
func (s Style) sequence(colour bool) string {
	switch {
	case s == Bold, s == Warning && !colour:
		return "\x1b[1m"
	case s == Warning:
		return "\x1b[33m"
	case s == Selected:
		return "\x1b[7m"
	case s == Faint:
		return "\x1b[2m"
	}
	return ""
}

// A larger terminal leaves the rest empty.
const (
	maxWidth  = 500
	maxHeight = 300
)

// screenTerminal is a real Terminal.
type screenTerminal struct {
	in, out *os.File
	colour  bool
	before  *term.State
}

// OnTerminal shows the page on a terminal: in for keys, and out. However it ends, it restores
// the terminal, unless the program is killed.
func (o *Options) OnTerminal(ctx context.Context, in, out *os.File, colour bool) (err error) {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGHUP)
	defer stop()
	t := &screenTerminal{in: in, out: out, colour: colour}
	defer t.leave()
	if err := t.enter(); err != nil {
		return err
	}
	return o.Show(ctx, t, Events{Input: t.read(), Resized: resizes(ctx)})
}

// enter takes the terminal into use. In the background the kernel stops the program here
// until it is in the foreground, or returns EIO if nobody could continue it.
func (t *screenTerminal) enter() error {
	before, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	t.before = before
	_, err = t.out.WriteString(enterScreen)
	return err
}

// leave restores the terminal. If a shell has taken it back, its modes are the shell's.
func (t *screenTerminal) leave() {
	_, _ = t.out.WriteString(leaveScreen) // it may be gone
	if t.before != nil && t.inForeground() {
		_ = term.Restore(int(t.in.Fd()), t.before)
	}
}

// inForeground reports whether the terminal is this program's, not that of a shell that took
// it back because the program's parent was killed.
func (t *screenTerminal) inForeground() bool {
	group, err := unix.IoctlGetInt(int(t.in.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// stopDelay bounds the wait for a stop that doesn't come: SIGTSTP is without effect where
// nobody could continue the program.
const stopDelay = time.Second

// Suspend implements Terminal.
func (t *screenTerminal) Suspend() error {
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, unix.SIGCONT)
	defer signal.Stop(continued)
	t.leave()
	if err := unix.Kill(0, unix.SIGTSTP); err != nil { // all of a pipeline
		return err
	}
	select { // the signal may arrive only after kill(2) has returned
	case <-continued:
	case <-time.After(stopDelay):
	}
	return t.enter()
}

// Size implements Terminal.
func (t *screenTerminal) Size() (width, height int) {
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return min(width, maxWidth), min(height, maxHeight)
}

// Draw implements Terminal. Each line is as wide as the screen, so that none has to be
// cleared, which flickers.
func (t *screenTerminal) Draw(lines []Line, width int) error {
	if !t.inForeground() {
		if err := t.enter(); err != nil {
			return err
		}
	}
	var b strings.Builder
	for i, l := range lines {
		line := l.Style.sequence(t.colour) + text.Pad(l.Text, width, false) + unstyled
		fmt.Fprintf(&b, "\x1b[%d;1H%s", i+1, line)
	}
	_, err := t.out.WriteString(b.String())
	return err
}

// read returns what keys send. It is closed when the terminal is gone.
func (t *screenTerminal) read() <-chan []byte {
	input := make(chan []byte)
	go func() {
		defer close(input)
		for {
			b := make([]byte, 256)
			n, err := t.in.Read(b)
			if err != nil {
				return
			}
			input <- b[:n]
		}
	}()
	return input
}

// resizes sends a value after the terminal changed its size.
func resizes(ctx context.Context) <-chan struct{} {
	signals, resized := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, unix.SIGWINCH)
	go func() {
		defer signal.Stop(signals)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			select {
			case <-ctx.Done():
				return
			case resized <- struct{}{}:
			}
		}
	}()
	return resized
}
