package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/show"
)

const (
	refresh = 2 * time.Second
	// maxAge is less than refresh, so that each refresh asks for another reading.
	maxAge = refresh - 200*time.Millisecond

	// stale is how long rows are kept without another reading: max_cpu may delay it.
	stale = 20 * time.Second

	defaultRows = 20 // of rows for people
)

// Options configure Print and Show.
type Options struct {
	Source control.Source
	View   View
	Sort   Sort
	Rows   int  // at most; 0: as many as fit; 20 in plain rows, all as JSON
	Once   bool // and end
	JSON   bool

	Failures io.Writer // gets what fails, where rows are printed; nil: nobody
}

// fetch asks for all that a refresh needs. device is that whose flows are wanted; "" is all.
func (o *Options) fetch(ctx context.Context, device string) (*Sample, error) {
	devices, err := o.Source.Devices(ctx, maxAge)
	if err != nil {
		return nil, err
	}
	flows, err := o.Source.Flows(ctx, device, control.DefaultLimit, maxAge)
	if errors.Is(err, control.ErrNoDevice) { // it has left since
		flows, err = &control.Flows{Read: devices.Read}, nil
	}
	if err != nil {
		return nil, err
	}
	status, err := o.Source.Status(ctx)
	if err != nil {
		return nil, err
	}
	return &Sample{Asked: device, Devices: devices, Flows: flows, Status: status}, nil
}

// Print prints rows or JSON at each refresh until ctx is done or nobody reads them any more.
// width is that of a terminal; 0 cuts nothing.
func (o *Options) Print(ctx context.Context, out io.Writer, width int) error {
	before, err := o.fetch(ctx, "")
	if err != nil {
		return ended(ctx, err)
	}
	failures := show.Failures{Out: o.Failures}
	failures.Tell(before.Status.Conditions)
	rates, waited := Measure(nil, before, nil), time.Duration(0)
	for {
		if !wait(ctx, refresh) {
			return nil
		}
		now, err := o.fetch(ctx, "")
		if err != nil {
			return ended(ctx, err)
		}
		failures.Tell(now.Status.Conditions)
		if !now.Devices.Read.After(before.Devices.Read) {
			if waited += refresh; waited >= stale && o.Once {
				return fmt.Errorf("the counters haven't been read again for %v", waited)
			}
			continue
		}
		rates, waited = Measure(before, now, rates), 0
		if err := o.print(out, now, rates, width); err != nil {
			return ended(ctx, err)
		}
		if before = now; o.Once {
			return nil
		}
	}
}

// ended returns nil if err only means that nobody reads any more or that ctx is done.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, unix.EPIPE) {
		return nil
	}
	return err
}

// wait waits, and reports whether ctx is still not done.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Terminal is where the page is drawn.
type Terminal interface {
	Size() (width, height int)
	Draw(lines []Line, width int) error
	// Suspend stops the program until it is continued.
	Suspend() error
}

// Events are events of a terminal and of the system.
type Events struct {
	Input   <-chan []byte // what keys send; closed when the terminal is gone
	Resized <-chan struct{}
}

// answer is a sample, or why there is none.
type answer struct {
	sample   *Sample
	err      error
	panicked any
}

// escapeDelay is how long the rest of a key's sequence may take.
const escapeDelay = 50 * time.Millisecond

// Show shows the page until the reader quits, the terminal is gone or ctx is done.
func (o *Options) Show(ctx context.Context, t Terminal, events Events) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &loop{
		options: o, terminal: t, screen: NewScreen(o.View, o.Sort, o.Rows),
		answers: make(chan answer, 1),
	}
	l.ask(ctx)
	clock := time.NewTicker(time.Second)
	defer clock.Stop()
	for !l.quit {
		if err := l.draw(); err != nil {
			return gone(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case b, open := <-events.Input:
			if !open {
				return nil
			}
			l.input(ctx, b)
		case <-l.escape:
			l.keys(ctx, l.parser.Flush())
		case <-events.Resized:
		case <-clock.C:
		case <-l.due:
			l.ask(ctx)
		case a := <-l.answers:
			l.take(ctx, a)
		}
	}
	return l.err
}

// gone returns nil if err means that the terminal is gone.
func gone(err error) error {
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.EPIPE) {
		return nil
	}
	return err
}

// loop is the state of Show.
type loop struct {
	options  *Options
	terminal Terminal
	screen   *Screen
	parser   keyParser
	quit     bool
	err      error

	asked   time.Time
	escape  <-chan time.Time // when a sequence has taken too long
	due     <-chan time.Time // when to ask again
	answers chan answer
	asking  bool
	again   bool // ask at once after this answer, which is of a page that was left
}

func (l *loop) draw() error {
	width, height := l.terminal.Size()
	return l.terminal.Draw(l.screen.Render(width, height, time.Now()), width)
}

// ask asks the source, which may take its time, in a goroutine.
func (l *loop) ask(ctx context.Context) {
	if l.asking {
		l.again = true
		return
	}
	l.asking, l.again, l.due, l.asked = true, false, nil, time.Now()
	device := l.screen.Device()
	go func() {
		var a answer
		defer func() {
			if v := recover(); v != nil { // raised again where the terminal is restored
				a.panicked = fmt.Sprintf("%v\n%s", v, debug.Stack())
			}
			l.answers <- a
		}()
		a.sample, a.err = l.options.fetch(ctx, device)
	}()
}

func (l *loop) take(ctx context.Context, a answer) {
	if a.panicked != nil {
		panic(a.panicked)
	}
	if a.err != nil {
		l.screen.Fail(a.err)
	} else {
		l.screen.Take(a.sample)
	}
	l.asking, l.due = false, time.After(refresh-time.Since(l.asked))
	if l.again {
		l.ask(ctx)
	}
}

func (l *loop) input(ctx context.Context, b []byte) {
	l.keys(ctx, l.parser.Feed(b))
	l.escape = nil
	if l.parser.Waiting() {
		l.escape = time.After(escapeDelay)
	}
}

func (l *loop) keys(ctx context.Context, keys []Key) {
	for _, k := range keys {
		if k == KeySuspend {
			l.err = l.terminal.Suspend()
			l.quit = l.quit || l.err != nil
			continue
		}
		quit, ask := l.screen.Key(k)
		if l.quit = l.quit || quit; ask {
			l.ask(ctx)
		}
	}
}
