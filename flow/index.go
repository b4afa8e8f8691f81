package flow

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/conntally/conntally/conntrack"
)

// place is the position of an entry in an index. It changes only at the end of a dump.
type place int32

const (
	none place = -1 // no entry

	// Entries are allocated this many at a time: a table that grows copies
	// nothing and leaves no garbage. So many fill whole pages of Go's allocator.
	chunkSize = 1024

	minSlots = 64 // a power of two
)

// index holds the entries of a table: chunks of them, reused places, and an
// open-addressed table of hashes with linear probing. None of it holds a pointer
// to an entry, so the garbage collector skips it.
type index struct {
	seed   [2]uint64
	chunks []*[chunkSize]entry
	places int // that were ever used
	free   []place
	slots  []slot
	peak   int // the most entries since shrink was last called

	shown place // the entry that the present dump showed last
	first place // the one that the last dump showed first
	jumps int   // steps of the present dump to elsewhere than the next place
}

// slot points to an entry: at is its place plus 1, 0 for an empty slot.
type slot struct {
	hash uint32
	at   place
}

func newIndex() index {
	seed := maphash.MakeSeed()
	return index{
		seed:  [2]uint64{maphash.Comparable(seed, 0), maphash.Comparable(seed, 1) | 1},
		slots: make([]slot, minSlots), shown: none, first: none,
	}
}

// len returns how many entries there are.
func (x *index) len() int { return x.places - len(x.free) }

// at returns the entry at place i.
func (x *index) at(i place) *entry { return &x.chunks[i/chunkSize][i%chunkSize] }

// hash mixes the parts of a key that differ between entries: the kernel's ID is itself
// a keyed hash over tuple and entry, and Start is in nanoseconds. find compares whole keys.
func (x *index) hash(k *conntrack.Key) uint64 {
	ne := binary.NativeEndian
	ports := uint64(k.Orig.SrcPort)<<16 | uint64(k.Orig.DstPort)
	h := x.mix(x.seed[0]^uint64(k.Start), uint64(k.ID)<<32|ports)
	low := ne.Uint64(k.Orig.Src[8:]) ^ bits.RotateLeft64(ne.Uint64(k.Orig.Dst[8:]), 32)
	zones := uint64(k.Zone)<<16 | uint64(k.ReplyZone)
	return x.mix(h, low^zones<<32^uint64(k.Orig.Proto)<<24)
}

// hashWith mixes an entry's counters into the hash of its key.
func (x *index) hashWith(h uint64, c *[2]conntrack.Counters) uint64 {
	for d := range c {
		h = x.mix(h^c[d].Packets, c[d].Bytes)
	}
	return h
}

func (x *index) mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^x.seed[1], b^x.seed[0])
	return hi ^ lo
}

// following returns the entry after the one that this dump has just shown, in the order of the
// last dump, if it is e's; else none. Dumps keep their order, so it nearly always is e's, and
// no look-up is necessary.
func (x *index) following(e *conntrack.Event) place {
	i := x.first
	if x.shown != none {
		i = x.at(x.shown).next
	}
	if i == none || !x.at(i).isOf(e) {
		return none
	}
	if i != x.shown+1 {
		x.jumps++
	}
	x.shown = i
	return i
}

// show records where the order of a dump differs from that of the last one.
func (x *index) show(i place) {
	x.jumps++
	if x.shown == none {
		x.first = i
	} else {
		x.at(x.shown).next = i
	}
	x.shown = i
}

// endDump ends a dump: the next entry shown is the first of another one. Places and entries
// change.
func (x *index) endDump() {
	if x.unordered() {
		x.sort()
	}
	x.shown, x.jumps = none, 0
}

// find returns the place of the entry of key k with hash h, or none.
func (x *index) find(k *conntrack.Key, h uint64) place {
	_, i := x.slotOf(k, uint32(h))
	return i
}

// slotOf returns the slot of k and the place of its entry, or the empty slot where it belongs and
// none.
func (x *index) slotOf(k *conntrack.Key, h uint32) (int, place) {
	mask := len(x.slots) - 1
	for s := int(h) & mask; ; s = (s + 1) & mask {
		at := x.slots[s]
		if at.at == 0 || at.hash == h && x.at(at.at-1).key == *k {
			return s, at.at - 1
		}
	}
}

// insert adds a copy of an entry that find doesn't find.
func (x *index) insert(en *entry, h uint64) place {
	if 4*(x.len()+1) > 3*len(x.slots) {
		x.resize(2 * len(x.slots))
	}
	i := x.allocate()
	x.peak = max(x.peak, x.len())
	to := x.at(i)
	*to = *en
	to.next = none
	s, _ := x.slotOf(&en.key, uint32(h))
	x.slots[s] = slot{uint32(h), i + 1}
	return i
}

// resize changes the number of slots to n, a power of two.
func (x *index) resize(n int) {
	old := x.slots
	x.slots = make([]slot, n)
	mask := len(x.slots) - 1
	for _, at := range old {
		if at.at == 0 {
			continue
		}
		s := int(at.hash) & mask
		for x.slots[s].at != 0 {
			s = (s + 1) & mask
		}
		x.slots[s] = at
	}
}

// allocate returns an unused place.
func (x *index) allocate() place {
	if n := len(x.free); n > 0 {
		i := x.free[n-1]
		x.free = x.free[:n-1]
		return i
	}
	if x.places == len(x.chunks)*chunkSize { // sort frees places, but no chunks
		x.chunks = append(x.chunks, new([chunkSize]entry))
	}
	x.places++
	return place(x.places - 1)
}

// remove drops the entry of key k with hash h.
func (x *index) remove(k *conntrack.Key, h uint64) {
	s, i := x.slotOf(k, uint32(h))
	if i == none {
		return
	}
	x.vacate(s)
	*x.at(i) = entry{next: none}
	x.free = append(x.free, i)
}

// vacate empties slot s, and moves the slots after it up that would not be found behind an
// empty one.
func (x *index) vacate(s int) {
	mask := len(x.slots) - 1
	for next := (s + 1) & mask; x.slots[next].at != 0; next = (next + 1) & mask {
		home := int(x.slots[next].hash) & mask
		if (next-home)&mask >= (next-s)&mask {
			x.slots[s] = x.slots[next]
			s = next
		}
	}
	x.slots[s] = slot{}
}

// each calls fn for every entry. fn may remove the entry that it is given.
func (x *index) each(fn func(en *entry)) {
	for i := range place(x.places) {
		if en := x.at(i); en.used() {
			fn(en)
		}
	}
}
