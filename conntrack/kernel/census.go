package kernel

import (
	"github.com/conntally/conntally/conntrack"
)

// watched bounds how many offloaded entries a Census keeps counters of.
const watched = 1000

// Census tells how many entries of a table are accounted, and how.
type Census struct {
	Entries   int // that live
	Uncounted int // older than nf_conntrack_acct=1, but for loopback's
	Offloaded int // that a flowtable forwards

	counters map[conntrack.Key][2]conntrack.Counters // of offloaded ones, up to watched
}

// TakeCensus counts what look shows: Look, or a Reader's Dump.
func TakeCensus(look func(func(*conntrack.Event)) error) (Census, error) {
	c := Census{counters: map[conntrack.Key][2]conntrack.Counters{}}
	err := look(c.count)
	return c, err
}

func (c *Census) count(e *conntrack.Event) {
	if e.Kind != conntrack.Live {
		return
	}
	c.Entries++
	if !e.Counted {
		if !e.Orig.Src.IsLoopback() { // they are not exported
			c.Uncounted++
		}
		return
	}
	if e.Status&(conntrack.Offload|conntrack.HWOffload) == 0 {
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
