package ctnetlink_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// entries returns how many entries the router has, including those that wait to be reported.
func (r *realKernel) entries() int {
	r.t.Helper()
	text, err := r.Router.ReadSysctl("net/netfilter/nf_conntrack_count")
	must(r.t, err)
	n, err := strconv.Atoi(text)
	must(r.t, err)
	return n
}

// untilEntries waits until enough returns true for the number of entries.
func (r *realKernel) untilEntries(enough func(int) bool) {
	r.t.Helper()
	for !enough(r.entries()) {
		if r.ctx.Err() != nil {
			r.t.Fatalf("waited in vain: %d entries", r.entries())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// reliable opens a reader whose events are repeated until it has room for them.
func (r *realKernel) reliable(buffer int) *ctnetlink.Reader {
	r.t.Helper()
	reader, err := ctnetlink.Open(ctnetlink.Options{
		NetNS: r.Router.FD(), ReceiveBuffer: buffer, Reliable: true,
	}, conntrack.SystemClock())
	must(r.t, err)
	r.t.Cleanup(func() { must(r.t, reader.Close()) })
	return reader
}

// TestWatchdogEndsReliableDeliveryOfStalledReader: a reliable reader that stalls keeps
// what has ended in the kernel's table, until the watchdog ends reliable delivery. What is
// lost by that is counted.
func TestWatchdogEndsReliableDeliveryOfStalledReader(t *testing.T) {
	const flows = 20_000
	r := newReal(t)
	must(t, r.Router.Sysctl("net/netfilter/nf_conntrack_udp_timeout", "1"))
	reader := r.reliable(64 << 10)
	must(t, r.Flood(r.ctx, lab.FloodFlow{Flows: flows, Size: 32}))
	must(t, r.Router.Flush())
	// All have ended, and few fit into the buffer.
	if n := r.entries(); n < flows/2 {
		t.Fatalf("%d entries wait to be reported", n)
	}

	stall, stalled := make(chan struct{}), make(chan error, 1)
	ended := 0
	go func() { // the reader, which is stuck in its first event
		stalled <- reader.Wait(time.Minute, func(*conntrack.Event) { <-stall; ended++ })
	}()
	guarded, cancel := context.WithCancel(r.ctx)
	defer cancel()
	guardEnds := make(chan struct{})
	go func() { defer close(guardEnds); reader.Watchdog(guarded, time.Second) }()
	r.untilEntries(func(n int) bool { return n < 100 })
	<-guardEnds
	close(stall)
	must(t, <-stalled)
	must(t, reader.Wait(0, func(*conntrack.Event) { ended++ }))
	stats := &reader.Stats
	if reader.Reliable() || stats.Stalls.Load() != 1 || stats.Repeated.Load() == 0 {
		t.Errorf("reliable %v, stalled %d times, %d ends repeated",
			reader.Reliable(), stats.Stalls.Load(), stats.Repeated.Load())
	}
	// Only events that the kernel counted as dropped are missing, now and later.
	lossless := func(flows int) {
		t.Helper()
		if dropped := int(stats.Drops.Load()); dropped == 0 || ended+dropped != flows {
			t.Errorf("%d ends read, %d dropped, want %d", ended, dropped, flows)
		}
	}
	lossless(flows)
	must(t, r.Flood(r.ctx, lab.FloodFlow{Flows: flows, Size: 32, First: flows}))
	must(t, r.Router.Flush())
	r.untilEntries(func(n int) bool { return n < 100 })
	must(t, reader.Wait(time.Second, func(*conntrack.Event) { ended++ }))
	lossless(2 * flows)
}

// TestWatchdogSparesReaderThatWaitsOrWorks: a reader that waits, or works, isn't stuck.
func TestWatchdogSparesReaderThatWaitsOrWorks(t *testing.T) {
	r := newReal(t)
	reader := r.reliable(1 << 20)
	guarded, cancel := context.WithCancel(r.ctx)
	guardEnds := make(chan struct{})
	go func() { defer close(guardEnds); reader.Watchdog(guarded, time.Second) }()
	must(t, reader.Wait(2*time.Second, unexpected(t))) // twice the timeout
	for begin := time.Now(); time.Since(begin) < 2*time.Second; {
		must(t, reader.Dump(func(*conntrack.Event) {}))
	}
	cancel()
	<-guardEnds
	must(t, reader.Wait(0, unexpected(t)))
	if n := reader.Stats.Stalls.Load(); n != 0 || !reader.Reliable() {
		t.Errorf("stalled %d times, reliable %v", n, reader.Reliable())
	}
}

// TestReopenedSocketStaysUnreliable: if the socket breaks while the reader is stuck, the new one is
// not reliable either, since no watchdog checks it.
func TestReopenedSocketStaysUnreliable(t *testing.T) {
	r := newReal(t)
	must(t, r.Router.Sysctl("net/netfilter/nf_conntrack_udp_timeout", "1"))
	reader := r.reliable(64 << 10)
	must(t, ctnetlink.CloseEvents(reader))
	if reader.Wait(0, unexpected(t)) == nil {
		t.Fatal("a closed socket is read")
	}
	reader.Watchdog(r.ctx, time.Second) // until it ends reliable delivery, since nothing is read
	must(t, reader.Reopen())
	must(t, r.Flood(r.ctx, lab.FloodFlow{Flows: 2000, Size: 32}))
	must(t, r.Router.Flush())
	r.untilEntries(func(n int) bool { return n < 100 }) // unread events keep no entry
	ended := 0
	must(t, reader.Wait(0, func(*conntrack.Event) { ended++ }))
	stats := &reader.Stats
	if dropped := int(stats.Drops.Load()); reader.Reliable() || stats.Stalls.Load() != 1 ||
		stats.Repeated.Load() != 0 || ended+dropped != 2000 {
		t.Errorf("reliable %v, stalled %d times, %d ends repeated, %d read, %d dropped",
			reader.Reliable(), stats.Stalls.Load(), stats.Repeated.Load(), ended, dropped)
	}
}

// TestWatchdogOutlivesUnsubscribe: once ends come from elsewhere there is nothing to watch, but
// Reopen has the kernel repeat events again.
func TestWatchdogOutlivesUnsubscribe(t *testing.T) {
	const flows = 2000
	r := newReal(t)
	must(t, r.Router.Sysctl("net/netfilter/nf_conntrack_udp_timeout", "1"))
	reader := r.reliable(64 << 10)
	must(t, reader.Unsubscribe())
	guarded, cancel := context.WithTimeout(r.ctx, time.Second)
	defer cancel()
	reader.Watchdog(guarded, 100*time.Millisecond) // nothing is read for ten times as long
	if guarded.Err() == nil {
		t.Error("the watchdog has ended, though Reopen may follow")
	}
	must(t, reader.Reopen())
	if !reader.Reliable() || reader.Stats.Stalls.Load() != 0 {
		t.Errorf("reliable %v, stalled %d times", reader.Reliable(), reader.Stats.Stalls.Load())
	}
	go reader.Watchdog(r.ctx, time.Second)
	must(t, r.Flood(r.ctx, lab.FloodFlow{Flows: flows, Size: 32}))
	must(t, r.Router.Flush())
	r.untilEntries(func(n int) bool { return n < 100 })
}

// TestWatchdogForgetsTheTimeWithoutEvents: while they come from elsewhere the reader doesn't read
// here, and isn't stuck.
func TestWatchdogForgetsTheTimeWithoutEvents(t *testing.T) {
	const timeout = 2 * time.Second
	r := newReal(t)
	reader := r.reliable(1 << 20)
	must(t, reader.Unsubscribe())
	guarded, cancel := context.WithCancel(r.ctx)
	guardEnds := make(chan struct{})
	go func() { defer close(guardEnds); reader.Watchdog(guarded, timeout) }()
	time.Sleep(2 * timeout)
	must(t, reader.Reopen())
	time.Sleep(timeout / 4) // a tick, or two
	cancel()
	<-guardEnds
	must(t, reader.Wait(0, unexpected(t)))
	if n := reader.Stats.Stalls.Load(); n != 0 || !reader.Reliable() {
		t.Errorf("stalled %d times, reliable %v", n, reader.Reliable())
	}
}
