package conntracktest

import (
	"sync"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// The clocks begin at times other than 0, which means "none".
const firstMono = int64(time.Hour)

var firstWall = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC).UnixNano()

// clock has a lock of its own, since a Reader's callbacks may hold the Kernel's.
type clock struct {
	mu  sync.Mutex
	now conntrack.Timestamp
}

func (c *clock) read() conntrack.Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(mono, wall time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Mono += int64(mono)
	c.now.Wall += int64(wall)
}

// Clock returns the Kernel's clock. It begins one hour (Mono) after its zero and
// at the beginning of 2026 (Wall).
func (k *Kernel) Clock() conntrack.Clock { return k.clock.read }

// Advance lets time pass.
func (k *Kernel) Advance(d time.Duration) { k.clock.advance(d, d) }

// StepWall steps only the wall clock, as settimeofday does.
func (k *Kernel) StepWall(d time.Duration) { k.clock.advance(0, d) }
