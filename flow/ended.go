package flow

import "github.com/conntally/conntally/conntrack"

// ended remembers which entries have ended, by the hash of their key: a dump may
// still show one that was read into the socket before, and the kernel repeats a
// DESTROY to all listeners while one of them stalls. It holds what ended during
// the present dump interval and the one before.
//
// Should no dump ever end, it forgets early and stays bounded.
type ended struct {
	current, previous map[uint64]struct{}

	began conntrack.Instant // of what is current
	since conntrack.Instant // all that ended since is here; zero: all that ever did
}

func newEnded() ended {
	return ended{current: map[uint64]struct{}{}, previous: map[uint64]struct{}{}}
}

// endedMost bounds each half of the memory: some 20 B each.
const endedMost = 1 << 20

// add remembers h for at least one whole dump from now.
func (e *ended) add(h uint64, now conntrack.Instant) {
	if len(e.current) >= endedMost {
		e.rotate(now)
	}
	e.current[h] = struct{}{}
}

// has tells whether h was added since the dump before the last one.
func (e *ended) has(h uint64) bool {
	return e.recent(h) || e.before(h)
}

// recent tells whether h was added since the last dump.
func (e *ended) recent(h uint64) bool {
	_, ok := e.current[h]
	return ok
}

func (e *ended) before(h uint64) bool {
	_, ok := e.previous[h]
	return ok
}

// rotate marks the end of a dump.
func (e *ended) rotate(now conntrack.Instant) {
	clear(e.previous)
	e.current, e.previous = e.previous, e.current
	e.since, e.began = e.began, now
}
