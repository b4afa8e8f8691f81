package ctnetlink

import (
	"context"
	"sync/atomic"
	"time"
)

// watchdogTick is how often Watchdog checks the reader.
const watchdogTick = 250 * time.Millisecond

// heartbeat is what Watchdog and the reader share.
type heartbeat struct {
	beats   atomic.Uint64 // grows with everything that the reader does
	idle    atomic.Bool   // the reader waits for events
	stalled atomic.Bool   // Watchdog has ended reliable delivery
	drops   atomic.Uint32 // drops of the event socket at that time
}

func (p *heartbeat) setIdle() { p.idle.Store(true) }

func (p *heartbeat) setBusy() {
	p.idle.Store(false)
	p.beats.Add(1)
}

// Watchdog checks a reliable Reader until ctx is done. When the reader has been busy without
// reading for timeout, Watchdog ends reliable delivery: the kernel drops the events that it was
// repeating, before they fill the table, and each loss is counted. Watchdog counts its own ticks,
// so that a pause of the whole process doesn't count. Without an event socket it waits for Reopen.
func (r *Reader) Watchdog(ctx context.Context, timeout time.Duration) {
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
		if r.heartbeat.idle.Load() || beats != last {
			stuck, last = 0, beats
			continue
		}
		if stuck += watchdogTick; stuck >= timeout && r.endReliable(beats) {
			return
		}
	}
}

// endReliable ends reliable delivery while the reader is stuck: since beats. It reports whether that
// has ended: there is none to end while the events are not subscribed to.
func (r *Reader) endReliable(beats uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.events.(*socket)
	if !ok || r.heartbeat.beats.Load() != beats {
		return false
	}
	if r.heartbeat.stalled.Load() {
		return true
	}
	_ = s.setReliable(false) // fails only on a closed socket
	drops, _ := s.dropsNow()
	r.heartbeat.drops.Store(drops)
	r.heartbeat.stalled.Store(true)
	return true
}
