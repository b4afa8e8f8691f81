package conntrack_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/lab"
	"golang.org/x/sys/unix"
)

// entries is how many the router has, those included that wait to be reported.
func (r *realKernel) entries() int {
	r.t.Helper()
	text, err := r.Router.ReadSysctl("net/netfilter/nf_conntrack_count")
	must(r.t, err)
	n, err := strconv.Atoi(text)
	must(r.t, err)
	return n
}

// untilEntries waits until the number of entries satisfies enough.
func (r *realKernel) untilEntries(enough func(int) bool) {
	r.t.Helper()
	for !enough(r.entries()) {
		if r.ctx.Err() != nil {
			r.t.Fatalf("waited in vain: %d entries", r.entries())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestRealGuard: a reliable reader that stalls keeps what has ended in the kernel's
// table, until its socket is closed. It goes on without reliable delivery.
func TestRealGuard(t *testing.T) {
	const flows = 20_000
	r := newReal(t)
	must(t, r.Router.Sysctl("net/netfilter/nf_conntrack_udp_timeout", "1"))
	reader, err := conntrack.Open(conntrack.Options{
		NetNS: r.Router.FD(), ReceiveBuffer: 64 << 10, Reliable: true,
	}, conntrack.SystemClock())
	must(t, err)
	t.Cleanup(func() { must(t, reader.Close()) })
	must(t, r.Flood(r.ctx, lab.FloodFlow{Flows: flows, Size: 32}))
	must(t, r.Router.Flush())
	// All have ended, and few fit into the buffer.
	if n := r.entries(); n < flows/2 {
		t.Fatalf("%d entries wait to be reported", n)
	}

	stall, stalled := make(chan struct{}), make(chan error, 1)
	go func() { // the reader, which is stuck in its first event
		stalled <- reader.Wait(time.Minute, func(*conntrack.Event) { <-stall })
	}()
	guarded, cancel := context.WithCancel(r.ctx)
	defer cancel()
	guardEnds := make(chan struct{})
	go func() { defer close(guardEnds); reader.Guard(guarded, time.Second) }()
	r.untilEntries(func(n int) bool { return n < 100 })
	<-guardEnds
	close(stall)
	if err := <-stalled; !errors.Is(err, conntrack.ErrStalled) {
		t.Fatalf("the stalled reader: %v", err)
	}
	if err := reader.Wait(0, unexpected(t)); !errors.Is(err, conntrack.ErrStalled) {
		t.Errorf("and again: %v", err)
	}

	must(t, reader.Reopen())
	_, err = r.TCP(r.ctx, lab.TCPFlow{Family: unix.AF_INET, Up: 10, Down: 10, End: lab.FIN})
	must(t, err)
	must(t, r.Router.Flush())
	ended := 0
	for ended == 0 {
		must(t, r.ctx.Err())
		must(t, reader.Wait(time.Second, func(*conntrack.Event) { ended++ }))
	}
	// No longer reliable: what doesn't fit is dropped, and its entry is freed.
	must(t, r.Flood(r.ctx, lab.FloodFlow{Flows: flows, Size: 32, First: flows}))
	must(t, r.Router.Flush())
	r.untilEntries(func(n int) bool { return n < 100 })
	must(t, reader.Wait(time.Second, func(*conntrack.Event) { ended++ }))
	if dropped := reader.Stats.Drops.Load(); dropped == 0 {
		t.Errorf("%d ends read, none dropped", ended)
	}
}

// TestRealGuardPatience: a reader that waits, or works, isn't stuck.
func TestRealGuardPatience(t *testing.T) {
	r := newReal(t)
	reader, err := conntrack.Open(conntrack.Options{
		NetNS: r.Router.FD(), ReceiveBuffer: 1 << 20, Reliable: true,
	}, conntrack.SystemClock())
	must(t, err)
	t.Cleanup(func() { must(t, reader.Close()) })
	guarded, cancel := context.WithCancel(r.ctx)
	guardEnds := make(chan struct{})
	go func() { defer close(guardEnds); reader.Guard(guarded, time.Second) }()
	must(t, reader.Wait(2*time.Second, unexpected(t))) // twice its patience
	for begin := time.Now(); time.Since(begin) < 2*time.Second; {
		must(t, reader.Dump(func(*conntrack.Event) {}))
	}
	cancel()
	<-guardEnds
	must(t, reader.Wait(0, unexpected(t)))
}
