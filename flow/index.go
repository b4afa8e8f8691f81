package flow

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/conntally/conntally/conntrack"
)

const (
	none = -1 // no entry

	// Entries are allocated this many at a time, and never move or go: a table
	// that grows copies nothing and leaves no garbage.
	chunkSize = 512
)

// index holds the entries of a table: chunks of them, reused places, and a map
// from a key's hash to the first entry that has it. None of it holds a pointer to
// an entry, so the garbage collector passes it by.
type index struct {
	seed   [2]uint64
	chunks []*[chunkSize]entry
	places int // that were ever used
	free   []int32
	first  map[uint64]int32
}

func newIndex() index {
	seed := maphash.MakeSeed()
	return index{
		seed:  [2]uint64{maphash.Comparable(seed, 0), maphash.Comparable(seed, 1) | 1},
		first: map[uint64]int32{},
	}
}

// len returns how many entries there are.
func (x *index) len() int { return x.places - len(x.free) }

// at returns the entry at place i.
func (x *index) at(i int32) *entry { return &x.chunks[i/chunkSize][i%chunkSize] }

// hash mixes the parts of a key that tell entries apart: the kernel's ID is itself
// a keyed hash over tuple and entry, and Start is in nanoseconds. Keys that
// collide are told apart by find.
func (x *index) hash(k *conntrack.Key) uint64 {
	h := x.mix(x.seed[0]^uint64(k.Start), uint64(k.ID)<<32|uint64(k.Orig.SrcPort)<<16|uint64(k.Orig.DstPort))
	low := binary.NativeEndian.Uint64(k.Orig.Src[8:]) ^ bits.RotateLeft64(binary.NativeEndian.Uint64(k.Orig.Dst[8:]), 32)
	return x.mix(h, low^uint64(k.Zone)<<48^uint64(k.Orig.Proto)<<40)
}

func (x *index) mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^x.seed[1], b^x.seed[0])
	return hi ^ lo
}

// find returns the entry of key k with hash h, or nil.
func (x *index) find(k *conntrack.Key, h uint64) *entry {
	i, ok := x.first[h]
	if !ok {
		return nil
	}
	for i != none {
		en := x.at(i)
		if en.key == *k {
			return en
		}
		i = en.next
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
	*x.at(i) = en
	x.first[h] = i
	return x.at(i)
}

// place returns the number of an unused entry.
func (x *index) place() int32 {
	if n := len(x.free); n > 0 {
		i := x.free[n-1]
		x.free = x.free[:n-1]
		return i
	}
	if x.places == len(x.chunks)*chunkSize {
		x.chunks = append(x.chunks, new([chunkSize]entry))
	}
	x.places++
	return int32(x.places - 1)
}

// remove drops the entry of key k with hash h.
func (x *index) remove(k *conntrack.Key, h uint64) {
	i, ok := x.first[h]
	if !ok {
		return
	}
	for before := int32(none); i != none; before, i = i, x.at(i).next {
		en := x.at(i)
		if en.key != *k {
			continue
		}
		switch {
		case before != none:
			x.at(before).next = en.next
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

// each calls fn for every entry. fn may remove the entry that it is given.
func (x *index) each(fn func(en *entry)) {
	for i := range int32(x.places) {
		if en := x.at(i); en.used() {
			fn(en)
		}
	}
}

// used tells an entry from an empty place.
func (en *entry) used() bool { return en.key.Orig.Family != 0 }
