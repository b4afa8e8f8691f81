package flow

import (
	"hash/maphash"

	"github.com/conntally/conntally/conntrack"
)

const none = -1 // no entry

// index holds the entries of a table: one growing array, reused places, and a
// map from a key's hash to the first entry that has it. Neither holds a pointer.
type index struct {
	seed    maphash.Seed
	entries []entry
	free    []int32
	first   map[uint64]int32
}

func newIndex() index {
	return index{seed: maphash.MakeSeed(), first: map[uint64]int32{}}
}

// len returns how many entries there are.
func (x *index) len() int { return len(x.entries) - len(x.free) }

func (x *index) hash(k *conntrack.Key) uint64 { return maphash.Comparable(x.seed, *k) }

// find returns the entry of key k with hash h, or nil. It is valid until the
// next insert.
func (x *index) find(k *conntrack.Key, h uint64) *entry {
	i, ok := x.first[h]
	if !ok {
		return nil
	}
	for ; i != none; i = x.entries[i].next {
		if en := &x.entries[i]; en.key == *k {
			return en
		}
	}
	return nil
}

// insert adds an entry that find doesn't know.
func (x *index) insert(en entry, h uint64) *entry {
	en.next = none
	if i, ok := x.first[h]; ok {
		en.next = i
	}
	i := x.place()
	x.entries[i] = en
	x.first[h] = i
	return &x.entries[i]
}

// place returns the number of an unused entry.
func (x *index) place() int32 {
	if n := len(x.free); n > 0 {
		i := x.free[n-1]
		x.free = x.free[:n-1]
		return i
	}
	x.entries = append(x.entries, entry{})
	return int32(len(x.entries) - 1)
}

// remove drops the entry of key k with hash h.
func (x *index) remove(k *conntrack.Key, h uint64) {
	before := int32(none)
	for i := x.first[h]; i != none; before, i = i, x.entries[i].next {
		en := &x.entries[i]
		if en.key != *k {
			continue
		}
		switch {
		case before != none:
			x.entries[before].next = en.next
		case en.next != none:
			x.first[h] = en.next
		default:
			delete(x.first, h)
		}
		*en = entry{}
		x.free = append(x.free, i)
		return
	}
}

// used tells whether place i holds an entry.
func (x *index) used(i int) bool { return x.entries[i].key.Orig.Family != 0 }
