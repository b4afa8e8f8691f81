package monitor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Probe is what the probe's loop tells of itself. Any goroutine may read it.
type Probe struct {
	FailedDumps    atomic.Uint64
	DiscardedDumps atomic.Uint64 // because the kernel's table was resized meanwhile
	Reopened       atomic.Uint64 // event sockets
	StateErrors    atomic.Uint64 // writes of the state file that failed
	Reloads        atomic.Uint64 // of the configuration
	Refused        atomic.Uint64 // 1 where the last one was refused
	DumpTime       atomic.Int64  // that dumps took, pauses included, ns
	DumpCPU        atomic.Int64  // spent in them, ns
	Interval       atomic.Int64  // between dumps, as in force, ns
	ReceiveBuffer  atomic.Int64  // the event socket's, as in force, bytes

	Turned atomic.Int64 // when the loop was last seen at work, monotonic
	Dumped atomic.Int64 // when the last whole dump ended, monotonic; 0 = none has
}

const (
	// LoopRest is how long the loop may wait before it shows that it turns.
	LoopRest = 10 * time.Second

	loopPatience  = 3 * LoopRest
	dumpPatience  = 3                // poll intervals
	leastPatience = 30 * time.Second // where they are short
)

// Health returns why the probe doesn't work as it should at now, of the monotonic
// clock, or nil.
func (p *Probe) Health(now int64) error {
	stood := time.Duration(now - p.Turned.Load())
	dumped := p.Dumped.Load()
	age, interval := time.Duration(now-dumped), time.Duration(p.Interval.Load())
	switch {
	case stood > loopPatience:
		return fmt.Errorf("the probe has been standing still for %v", stood.Round(time.Second))
	case dumped == 0:
		return errors.New("no dump of conntrack has succeeded yet")
	case age > max(dumpPatience*interval, leastPatience):
		return fmt.Errorf("the last dump of conntrack that succeeded was %v ago, with one due each %v",
			age.Round(time.Second), interval.Round(time.Millisecond))
	}
	return nil
}
