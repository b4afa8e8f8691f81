package monitor

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Probe are the counters of the probe's loop. Any goroutine may read them.
type Probe struct {
	FailedDumps    atomic.Uint64
	DiscardedDumps atomic.Uint64 // dumps during which the kernel resized its table
	Reopened       atomic.Uint64 // event sockets opened again
	StateErrors    atomic.Uint64 // failed writes of the state file
	Reloads        atomic.Uint64 // of the configuration
	Refused        atomic.Uint64 // 1 if the last reload was rejected, else 0
	DumpTime       atomic.Int64  // total time of dumps, pauses included, ns
	DumpCPU        atomic.Int64  // total CPU time of dumps, ns
	Interval       atomic.Int64  // between dumps, in force, ns
	ReceiveBuffer  atomic.Int64  // of the event socket, as the kernel reports it, bytes

	Turned atomic.Int64 // when the loop last ran, monotonic
	Dumped atomic.Int64 // when the last complete dump ended, monotonic; 0: none has
}

const (
	// LoopPeriod is the longest time between two turns of a loop that works.
	LoopPeriod = 10 * time.Second

	loopTimeout    = 3 * LoopPeriod
	dumpTimeout    = 3                // poll intervals
	minDumpTimeout = 30 * time.Second // for short poll intervals
)

// Health returns why the probe doesn't work at now, of the monotonic clock, or nil.
func (p *Probe) Health(now int64) error {
	blocked := time.Duration(now - p.Turned.Load())
	dumped := p.Dumped.Load()
	age, interval := time.Duration(now-dumped), time.Duration(p.Interval.Load())
	switch {
	case blocked > loopTimeout:
		return fmt.Errorf("the loop has been blocked for %v", blocked.Round(time.Second))
	case dumped == 0:
		return errors.New("no dump of conntrack has succeeded yet")
	case age > max(dumpTimeout*interval, minDumpTimeout):
		return fmt.Errorf("the last successful dump of conntrack was %v ago; one is due every %v",
			age.Round(time.Second), interval.Round(time.Millisecond))
	}
	return nil
}
