package flow

import "github.com/conntally/conntally/conntrack"

// tombstones remembers which entries have ended, by the hash of their key: a dump may
// still show one that was read into the socket before, and the kernel repeats a
// DESTROY to all listeners while one of them stalls. It holds what ended during
// the present dump interval and the one before.
//
// Should no dump ever end, it forgets early and stays bounded.
type tombstones struct {
	current, previous hashSet

	began conntrack.Timestamp // of what is current
	since conntrack.Timestamp // all that ended since is here; zero: all that ever did
}

func newTombstones() tombstones {
	return tombstones{current: newHashSet(), previous: newHashSet()}
}

// maxTombstones bounds each half of the memory, at 11 to 22 B each.
const maxTombstones = 1 << 20

// add remembers h for at least one whole dump from now, and tells whether it was
// added before, since the dump before the last one.
func (e *tombstones) add(h uint64, now conntrack.Timestamp) (again bool) {
	if e.current.len() >= maxTombstones {
		e.rotate(now)
	}
	return !e.current.add(h) || e.before(h)
}

// recent tells whether h was added since the last dump.
func (e *tombstones) recent(h uint64) bool { return e.current.has(h) }

func (e *tombstones) before(h uint64) bool { return e.previous.has(h) }

// rotate marks the end of a dump.
func (e *tombstones) rotate(now conntrack.Timestamp) {
	e.previous.clear()
	e.current, e.previous = e.previous, e.current
	e.since, e.began = e.began, now
}

// hasEnded remembers that an entry has ended, and tells whether that was known. Without
// a start time another may have had the same key, but hardly the same counters.
func (t *Table) hasEnded(k *conntrack.Key, h uint64, c *[2]conntrack.Counters, now conntrack.Timestamp) (again bool) {
	again = t.tombstones.add(h, now)
	if k.Start == 0 {
		again = t.tombstones.add(t.index.hashWith(h, c), now)
	}
	return again
}

// triedAgain tells an end that may only look like one from before: TCP that the kernel
// removes before its time, as where a connection is refused. Clients try again from the
// same port, with the same counters, and without a start time nothing tells the two apart.
func triedAgain(k *conntrack.Key, e *conntrack.Event) bool {
	return k.Start == 0 && k.Orig.Proto == conntrack.ProtoTCP && e.HasTimeout && e.Portid == 0
}
