package flow

// hashSet is a set of hashes, open-addressed with linear probing. It is emptied as
// a whole, and keeps its size until shrink is called.
type hashSet struct {
	slots []uint64 // 0 is empty; the hash 0 stands as 1
	n     int
	peak  int // the largest n since shrink was last called
}

func newHashSet() hashSet { return hashSet{slots: make([]uint64, minSlots)} }

func (s *hashSet) len() int { return s.n }

func (s *hashSet) has(h uint64) bool {
	h = max(h, 1)
	return s.slots[s.slotOf(h)] == h
}

// add tells whether h is new.
func (s *hashSet) add(h uint64) bool {
	h = max(h, 1)
	if 4*(s.n+1) > 3*len(s.slots) {
		s.resize(2 * len(s.slots))
	}
	at := s.slotOf(h)
	if s.slots[at] == h {
		return false
	}
	s.slots[at] = h
	s.n++
	s.peak = max(s.peak, s.n)
	return true
}

// slotOf returns where h is, or the empty slot where it belongs.
func (s *hashSet) slotOf(h uint64) int {
	mask := len(s.slots) - 1
	at := int(h) & mask
	for s.slots[at] != 0 && s.slots[at] != h {
		at = (at + 1) & mask
	}
	return at
}

// resize changes the number of slots to n, a power of two.
func (s *hashSet) resize(n int) {
	old := s.slots
	s.slots = make([]uint64, n)
	for _, h := range old {
		if h != 0 {
			s.slots[s.slotOf(h)] = h
		}
	}
}

func (s *hashSet) clear() {
	clear(s.slots)
	s.n = 0
}
