package main

import (
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
)

// TestFaultPause: a process that was stopped in the middle of a dump doesn't rest for
// that: it would for hours.
func TestFaultPause(t *testing.T) {
	t.Parallel()
	now := conntrack.Instant{Mono: 1}
	clock := func() conntrack.Instant { now.Mono += int64(time.Hour); return now }
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
