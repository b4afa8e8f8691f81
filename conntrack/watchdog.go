package conntrack

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// ErrStalled says that the reader stood still for so long that Guard closed its
// event socket. Reopen goes on without reliable delivery.
var ErrStalled = errors.New("the reader stalled: its event socket was closed so that connections aren't refused")

// guardTick is how often Guard looks.
const guardTick = 250 * time.Millisecond

// pulse is what a watchdog sees of a reader.
type pulse struct {
	beats   atomic.Uint64 // grows with all that the reader does
	resting atomic.Bool   // it waits for events
	stopped atomic.Bool   // the watchdog has closed its socket
}

func (p *pulse) rest() { p.resting.Store(true) }

func (p *pulse) work() {
	p.resting.Store(false)
	p.beats.Add(1)
}

// Guard watches over a reliable Reader until ctx is done: once the reader has been
// busy without reading for patience, it closes the event socket. The kernel
// then drops the entries that wait to be reported, before they fill the table. It
// counts its own ticks, so a process that was stopped as a whole isn't blamed.
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

// abort closes the event socket under the reader.
func (r *Reader) abort() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.pulse.stopped.Swap(true) {
		_ = r.events.Close() // fails on a closed one only
	}
}
