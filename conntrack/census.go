package conntrack

import (
	"os"
	"time"
)

// watched bounds how many offloaded entries a Census keeps counters of.
const watched = 1000

// Census tells how many entries of a table are accounted, and how.
type Census struct {
	Entries   int // that live
	Uncounted int // older than nf_conntrack_acct=1, but for loopback's
	Offloaded int // that a flowtable forwards

	counters map[Key][2]Counters // of offloaded ones, up to watched
}

// TakeCensus counts what look shows: Look, or a Reader's Dump.
func TakeCensus(look func(func(*Event)) error) (Census, error) {
	c := Census{counters: map[Key][2]Counters{}}
	err := look(c.count)
	return c, err
}

func (c *Census) count(e *Event) {
	if e.Kind != Live {
		return
	}
	c.Entries++
	if !e.Counted {
		if !e.Orig.Src.IsLoopback() { // they are not exported
			c.Uncounted++
		}
		return
	}
	if e.Status&(Offload|HWOffload) == 0 {
		return
	}
	c.Offloaded++
	if len(c.counters) < watched {
		c.counters[e.Key()] = e.Counters
	}
}

// Moved tells how many of the offloaded entries that both censuses have met have
// counted packets in between.
func (c Census) Moved(before Census) (moved, met int) {
	for key, was := range before.counters {
		if now, ok := c.counters[key]; ok {
			met++
			if now != was {
				moved++
			}
		}
	}
	return moved, met
}

// Look hands fn every living entry of the calling thread's network namespace and
// subscribes to nothing.
func Look(fn func(*Event)) error {
	dumps, err := openSocket(0, 1, dumpBuffer, plain)
	if err != nil {
		return err
	}
	r := NewReader(silence{}, dumps, SystemClock())
	defer r.Close()
	return r.Dump(fn)
}

// silence is a socket that hears of no end.
type silence struct{}

func (silence) Recv(time.Duration) ([]byte, error) { return nil, os.ErrDeadlineExceeded }
func (silence) Send([]byte) error                  { return nil }
func (silence) Close() error                       { return nil }
