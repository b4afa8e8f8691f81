package flow

import "github.com/conntally/conntally/conntrack"

// The table remembers of entries without a flow which have ended, which are excluded and which
// found no room. Each memory is bounded.

const (
	maxTombstones = 1 << 20 // of each half, at 11 to 22 B each
	maxExcluded   = 1 << 20 // of each half; others are decided each time they are seen
	maxOverflow   = 1 << 20 // at some 20 B each
)

// tombstones remembers which entries have ended, by the hash of their key: a dump may still
// show one that was read into the socket before, and the kernel repeats a DESTROY to all
// subscribers while one of them stalls. It holds the entries that ended during the present
// dump interval and the one before.
//
// If no dump ever ends, it forgets early and stays bounded.
type tombstones struct {
	current, previous hashSet

	began conntrack.Timestamp // of current
	since conntrack.Timestamp // all that ended since is known; zero: all that ever did
}

func newTombstones() tombstones {
	return tombstones{current: newHashSet(), previous: newHashSet()}
}

// add remembers h for at least one whole dump from now, and reports whether it was
// added before, since the dump before the last one.
func (s *tombstones) add(h uint64, now conntrack.Timestamp) (again bool) {
	if s.current.len() >= maxTombstones {
		s.rotate(now)
	}
	return !s.current.add(h) || s.older(h)
}

// recent reports whether h was added since the last dump.
func (s *tombstones) recent(h uint64) bool { return s.current.has(h) }

// older reports whether h was added in the dump interval before that.
func (s *tombstones) older(h uint64) bool { return s.previous.has(h) }

// rotate marks the end of a dump.
func (s *tombstones) rotate(now conntrack.Timestamp) {
	s.previous.clear()
	s.current, s.previous = s.previous, s.current
	s.since, s.began = s.began, now
}

// exclusions remembers the connections that Options.Exclude leaves out, by the hash of
// their key, so that each is decided once. It forgets what a whole dump didn't show.
type exclusions struct {
	current, previous hashSet
	// before holds those that were excluded until the options changed, during the dump in
	// which Exclude is called again for all.
	before *hashSet
}

func newExclusions() exclusions { return exclusions{current: newHashSet(), previous: newHashSet()} }

func (s *exclusions) add(h uint64) {
	if s.current.len() < maxExcluded {
		s.current.add(h)
	}
}

func (s *exclusions) has(h uint64) bool {
	return s.current.n+s.previous.n > 0 && s.either(h) // mostly there are none
}

func (s *exclusions) either(h uint64) bool { return s.current.has(h) || s.previous.has(h) }

// was reports whether h was excluded until the options changed.
func (s *exclusions) was(h uint64) bool { return s.before != nil && s.before.has(h) }

// restart begins the dump in which Exclude is called again for all connections.
func (s *exclusions) restart() {
	if s.before == nil {
		s.before = new(newHashSet())
	}
	for _, half := range []*hashSet{&s.current, &s.previous} {
		for _, h := range half.slots {
			if h != 0 {
				s.before.add(h)
			}
		}
		half.clear()
	}
}

// rotate marks the end of a dump.
func (s *exclusions) rotate() {
	s.before = nil
	s.previous.clear()
	s.current, s.previous = s.previous, s.current
}

// overflow remembers what matters while living entries may have found no room in the table.
type overflow struct {
	active bool // some may have
	lately bool // one did since the last dump ended
	// older are those that are older than the table, by the hash of their key.
	older map[uint64]struct{}
}

func (o *overflow) add(h uint64, older bool) {
	o.active, o.lately = true, true
	if !older || len(o.older) >= maxOverflow {
		return
	}
	if o.older == nil {
		o.older = map[uint64]struct{}{}
	}
	o.older[h] = struct{}{}
}

func (o *overflow) isOlder(h uint64) bool {
	if !o.active {
		return false
	}
	_, older := o.older[h]
	return older
}

// forget removes an entry that has found room or has ended.
func (o *overflow) forget(h uint64) { delete(o.older, h) }

// endDump marks the end of a dump, and reports whether it found room for all entries.
func (o *overflow) endDump() (roomForAll bool) {
	if !o.lately {
		*o = overflow{}
	}
	o.lately = false
	return !o.active
}

// hashSet is a set of hashes, open-addressed with linear probing. It is emptied as
// a whole, and keeps its size until shrink is called.
type hashSet struct {
	slots []uint64 // 0 is empty; the hash 0 is stored as 1
	n     int
	most  int // n that the slots have room for
	peak  int // the largest n since shrink was last called, of hashes cleared since
}

func newHashSet() (s hashSet) {
	s.resize(minSlots)
	return s
}

func (s *hashSet) len() int { return s.n }

func (s *hashSet) has(h uint64) bool {
	h = max(h, 1)
	return s.n > 0 && s.slots[s.slotOf(h)] == h
}

// add reports whether h is new.
func (s *hashSet) add(h uint64) bool {
	h = max(h, 1)
	if s.n >= s.most {
		s.resize(2 * len(s.slots))
	}
	at := s.slotOf(h)
	if s.slots[at] == h {
		return false
	}
	s.slots[at] = h
	s.n++
	return true
}

// slotOf returns the slot of h, or the empty one where it belongs.
func (s *hashSet) slotOf(h uint64) int {
	mask := len(s.slots) - 1
	for at := int(h) & mask; ; at = (at + 1) & mask {
		if found := s.slots[at]; found == 0 || found == h {
			return at
		}
	}
}

// resize changes the number of slots to n, a power of two.
func (s *hashSet) resize(n int) {
	old := s.slots
	s.slots, s.most = make([]uint64, n), 3*n/4
	for _, h := range old {
		if h != 0 {
			s.slots[s.slotOf(h)] = h
		}
	}
}

func (s *hashSet) clear() {
	clear(s.slots)
	s.peak = max(s.peak, s.n)
	s.n = 0
}

// shrink makes s smaller where it had room for far more hashes than there were since the
// last call.
func (s *hashSet) shrink() {
	s.peak = max(s.peak, s.n)
	if len(s.slots) > minSlots && shrinkShare*s.peak < len(s.slots) {
		s.compact()
	}
	s.peak = 0
}

// compact gives s the size that its hashes need.
func (s *hashSet) compact() { s.resize(slotsFor(s.n)) }

// slotsFor returns how many slots n entries need, with room to grow: a power of two.
func slotsFor(n int) int {
	slots := minSlots
	for slots < 2*n {
		slots *= 2
	}
	return slots
}
