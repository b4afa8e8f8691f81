package top

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"

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

// OnTerminal shows the page on a terminal: in for keys, and out. Whatever ends it, the
// terminal is as before, unless the program is killed.
func (o *Options) OnTerminal(ctx context.Context, in, out *os.File, colour bool) (err error) {
	ctx, stop := signal.NotifyContext(ctx, unix.SIGHUP)
	defer stop()
	// The terminal of a program whose parent was killed can still be restored.
	signal.Ignore(unix.SIGTTOU)
	defer signal.Reset(unix.SIGTTOU)
	t := &screenTerminal{in: in, out: out, colour: colour}
	if err := t.enter(); err != nil {
		return err
	}
	defer t.leave()
	return o.Show(ctx, t, Events{Input: t.read(), Resized: resizes(ctx)})
}

func (t *screenTerminal) enter() (err error) {
	if t.before, err = term.MakeRaw(int(t.in.Fd())); err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	if _, err = t.out.WriteString(enterScreen); err != nil {
		t.leave()
	}
	return err
}

func (t *screenTerminal) leave() {
	_, _ = t.out.WriteString(leaveScreen) // it may be gone
	_ = term.Restore(int(t.in.Fd()), t.before)
}

// Suspend implements Terminal.
func (t *screenTerminal) Suspend() error {
	t.leave()
	if err := unix.Kill(0, unix.SIGTSTP); err != nil { // all of a pipeline
		return err
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
	var b strings.Builder
	for i, l := range lines {
		fmt.Fprintf(&b, "\x1b[%d;1H%s%s%s", i+1, l.Style.sequence(t.colour), text.Pad(l.Text, width, false), unstyled)
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
