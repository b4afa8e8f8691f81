package ctnetlink

import (
	"context"
	"sync/atomic"
	"time"
)

// guardTick is how often Guard looks.
const guardTick = 250 * time.Millisecond

// pulse is what a watchdog sees of a reader.
type pulse struct {
	beats   atomic.Uint64 // grows with all that the reader does
	resting atomic.Bool   // it waits for events
	stalled atomic.Bool   // the watchdog has ended reliable delivery
	drops   atomic.Uint32 // of the event socket by then
}

func (p *pulse) rest() { p.resting.Store(true) }

func (p *pulse) work() {
	p.resting.Store(false)
	p.beats.Add(1)
}

// Guard watches over a reliable Reader until ctx is done: once the reader has been
// busy without reading for patience, it ends reliable delivery. The kernel then
// drops what waits to be reported, before it fills the table, and each loss is
// counted. Guard counts its own ticks, so a process that was stopped as a whole
// isn't blamed.
func (r *Reader) Guard(ctx context.Context, patience time.Duration) {
	ticker := time.NewTicker(guardTick)
	defer ticker.Stop()
	stuck, last := time.Duration(0), uint64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		beats := r.pulse.beats.Load()
		if r.pulse.resting.Load() || beats != last {
			stuck, last = 0, beats
			continue
		}
		if stuck += guardTick; stuck >= patience {
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
	if !ok || r.pulse.stalled.Load() {
		return
	}
	_ = s.forgo() // fails on a closed one only
	drops, _ := s.dropsNow()
	r.pulse.drops.Store(drops)
	r.pulse.stalled.Store(true)
}
