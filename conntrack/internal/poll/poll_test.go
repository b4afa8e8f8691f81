package poll

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipe returns a poller and the ends of a pipe.
func pipe(t *testing.T) (w *Poller, from, to int) {
	t.Helper()
	w, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close(); unix.Close(ends[0]); unix.Close(ends[1]) })
	return w, ends[0], ends[1]
}

// wakesPoller reports whether Go's runtime would be woken now.
func (w *Poller) wakesPoller(t *testing.T) bool {
	t.Helper()
	var n int
	var err error
	failed := w.raw.Control(func(fd uintptr) {
		n, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	})
	if failed != nil || err != nil {
		t.Error(failed, err)
	}
	return n > 0
}

func send(t *testing.T, fd int) {
	t.Helper()
	if _, err := unix.Write(fd, []byte{0}); err != nil {
		t.Error(err)
	}
}

// TestArrivalsWakeOnlyAWait proves that a datagram wakes no thread unless something waits for it,
// and that the next wait returns it.
func TestArrivalsWakeOnlyAWait(t *testing.T) {
	w, from, to := pipe(t)
	read := func(uintptr) bool { _, err := unix.Read(from, make([]byte, 1)); return err == nil }
	for range 3 {
		send(t, to)
		if w.wakesPoller(t) {
			t.Error("it wakes a thread though nobody waits")
		}
		if err := w.Wait(from, time.Hour, read); err != nil {
			t.Error(err)
		}
		stirred, sent := make(chan struct{}), make(chan struct{})
		send(t, to)
		go func() {
			for !w.wakesPoller(t) { // until the other goroutine waits
				time.Sleep(time.Millisecond)
			}
			close(stirred)
			send(t, to)
			close(sent)
		}()
		if err := w.Wait(from, time.Hour, func(uintptr) bool {
			select {
			case <-stirred:
				return true
			default:
				return false
			}
		}); err != nil {
			t.Error(err)
		}
		<-sent
		for read(0) { // nothing left
		}
		if err := w.Wait(from, time.Millisecond, read); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("nothing comes: %v", err)
		}
	}
}

func TestPollerAllocatesNothing(t *testing.T) {
	w, from, to := pipe(t)
	b := make([]byte, 1)
	read := func(uintptr) bool { _, err := unix.Read(from, b); return err == nil }
	sent := make([]byte, 1) // allocated once: with the race detector it escapes
	if n := testing.AllocsPerRun(20, func() {
		if _, err := unix.Write(to, sent); err != nil {
			t.Error(err)
		}
		if err := w.Wait(from, time.Hour, read); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per wait", n)
	}
}
