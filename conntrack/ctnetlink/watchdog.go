package ctnetlink

import (
	"context"
	"sync/atomic"
	"time"
)

// watchdogTick is how often Watchdog looks.
const watchdogTick = 250 * time.Millisecond

// heartbeat is what a watchdog sees of a reader.
type heartbeat struct {
	beats   atomic.Uint64 // grows with all that the reader does
	resting atomic.Bool   // it waits for events
	stalled atomic.Bool   // the watchdog has ended reliable delivery
	drops   atomic.Uint32 // of the event socket by then
}

func (p *heartbeat) rest() { p.resting.Store(true) }

func (p *heartbeat) work() {
	p.resting.Store(false)
	p.beats.Add(1)
}

// Watchdog watches over a reliable Reader until ctx is done: once the reader has been
// busy without reading for patience, it ends reliable delivery. The kernel then
// drops what waits to be reported, before it fills the table, and each loss is
// counted. Watchdog counts its own ticks, so a process that was stopped as a whole
// isn't blamed.
func (r *Reader) Watchdog(ctx context.Context, patience time.Duration) {
	ticker := time.NewTicker(watchdogTick)
	defer ticker.Stop()
	stuck, last := time.Duration(0), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		beats := r.heartbeat.beats.Load()
		if r.heartbeat.resting.Load() || beats != last {
			stuck, last = 0, beats
			continue
		}
		if stuck += watchdogTick; stuck >= patience {
			r.abort()
			return
		}
	}
}

// abort ends reliable delivery under the reader.
func (r *Reader) abort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.events.(*socket)
	if !ok || r.heartbeat.stalled.Load() {
		return
	}
	_ = s.repeat(false) // fails on a closed one only
	drops, _ := s.dropsNow()
	r.heartbeat.drops.Store(drops)
	r.heartbeat.stalled.Store(true)
}
