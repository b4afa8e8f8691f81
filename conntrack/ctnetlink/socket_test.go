package ctnetlink_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// long is longer than any test may take: only a wake-up ends such a wait.
const long = time.Hour

// open reads a namespace in which nothing happens.
func open(t *testing.T) *ctnetlink.Reader {
	t.Helper()
	labtest.EnterNamespace(t)
	r, err := ctnetlink.Open(ctnetlink.Options{ReceiveBuffer: 1 << 20}, conntrack.SystemClock())
	must(t, err)
	return r
}

func unexpected(t *testing.T) func(*conntrack.Event) {
	return func(e *conntrack.Event) { t.Errorf("unexpected %+v", e) }
}

// TestRealInterrupt interrupts before the Wait, and during it.
func TestRealInterrupt(t *testing.T) {
	r := open(t)
	defer r.Close()
	r.Interrupt()
	must(t, r.Wait(long, unexpected(t)))
	for range 200 {
		done := make(chan struct{})
		go func() { r.Interrupt(); close(done) }()
		must(t, r.Wait(long, unexpected(t)))
		<-done
	}
	must(t, r.Wait(time.Millisecond, unexpected(t)))
	must(t, r.Dump(unexpected(t)))
}

// TestRealClosed closes the sockets before a Wait, and during it.
func TestRealClosed(t *testing.T) {
	r := open(t)
	done := make(chan error)
	go func() { done <- r.Close() }()
	if err := r.Wait(long, unexpected(t)); err == nil {
		t.Error("no error from Wait")
	}
	must(t, <-done)
	if err := r.Wait(long, unexpected(t)); err == nil {
		t.Error("no error from the next Wait")
	}
	if err := r.Dump(unexpected(t)); err == nil {
		t.Error("no error from Dump")
	}
	r.Interrupt()
}

// TestRealSignals sends the thread signals while it reads.
func TestRealSignals(t *testing.T) {
	r := open(t)
	defer r.Close()
	thread, done, stopped := unix.Gettid(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				_ = unix.Tgkill(unix.Getpid(), thread, unix.SIGURG) // Go's own for preemption
			}
		}
	}()
	for range 20 {
		must(t, r.Dump(unexpected(t)))
		must(t, r.Wait(time.Millisecond, unexpected(t)))
	}
	close(done)
	<-stopped
}

// TestRealWaitEnds proves that a Wait without events returns no error.
func TestRealWaitEnds(t *testing.T) {
	r := open(t)
	defer r.Close()
	for _, wait := range []time.Duration{-time.Second, 0, time.Millisecond} {
		must(t, r.Wait(wait, unexpected(t)))
	}
}
