package probe

import (
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
)

// TestFaultPacerSoon: where events are lost all the time, dumps cost no more than they may.
func TestFaultPacerSoon(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cost, want time.Duration // of a dump, between two
	}{
		{time.Millisecond, time.Second},            // a tenth of the poll interval
		{50 * time.Millisecond, 5 * time.Second},   // 1 % of a core
		{500 * time.Millisecond, 50 * time.Second}, // stretched anyway
	} {
		p := newPacer(10*time.Second, 0.01, 1<<20, new(monitor.Probe))
		p.cost = c.cost
		p.begin(conntrack.Timestamp{Mono: 1})
		p.ended, p.next = 1, 1+int64(p.interval())
		p.soon()
		if got := time.Duration(p.next - p.ended); got != c.want {
			t.Errorf("a dump of %v is made again after %v, want %v", c.cost, got, c.want)
		}
		p.next = p.ended
		if p.soon(); p.next != p.ended {
			t.Error("a dump that is due was put off")
		}
	}
}

// TestFaultPacerReload: a reload doesn't put off what is urgent.
func TestFaultPacerReload(t *testing.T) {
	t.Parallel()
	p := newPacer(10*time.Second, 0.01, 1<<20, new(monitor.Probe))
	p.begin(conntrack.Timestamp{Mono: 1})
	p.ended, p.next = 1, 1+int64(p.interval())
	p.soon()
	if p.reconfigure(time.Minute, 0.01); p.next != 1+int64(time.Second) {
		t.Errorf("put off by %v", time.Duration(p.next-1))
	}
}

// TestFaultPause: a process that was stopped in the middle of a dump doesn't rest for
// that: it would for hours.
func TestFaultPause(t *testing.T) {
	t.Parallel()
	now := conntrack.Timestamp{Mono: 1}
	clock := func() conntrack.Timestamp { now.Mono += int64(time.Hour); return now }
	p := newPacer(time.Second, 1, 1<<20, new(monitor.Probe))
	p.begin(now)
	done := make(chan struct{})
	go func() { defer close(done); p.pause(clock) }()
	select {
	case <-done:
	case <-time.After(patience):
		t.Error("still resting")
	}
}
