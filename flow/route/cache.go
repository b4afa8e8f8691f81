package route

import (
	"hash/maphash"
	"math/bits"
)

// key is what an answer depends on.
type key struct {
	to    number // the first of the addresses that are routed alike
	class uint64 // of the sender
	in    uint32
	mark  uint32
}

// cache remembers answers: a hash table with open addressing and linear probing,
// without pointers, so that the garbage collector passes it by.
type cache struct {
	slots []slot // a power of two; one of kind untold is empty
	used  int
	seed  [2]uint64 // strangers choose addresses
}

type slot struct {
	key
	answer
}

const (
	fewSlots  = 1 << 8
	mostSlots = 1 << 17 // three quarters of which are used, at 40 B each
)

func newCache() cache {
	seed := maphash.MakeSeed()
	return cache{
		slots: make([]slot, fewSlots),
		seed:  [2]uint64{maphash.Comparable(seed, 0), maphash.Comparable(seed, 1)},
	}
}

// find returns the slot of k, or the empty one where it belongs.
func (c *cache) find(k *key) *slot {
	mask := uint64(len(c.slots) - 1)
	for i := c.hash(k) & mask; ; i = (i + 1) & mask {
		if s := &c.slots[i]; s.kind == untold || s.key == *k {
			return s
		}
	}
}

// add remembers the answer to what find doesn't know. A full cache begins anew: what is
// in use comes back at one look-up each.
func (c *cache) add(k *key, a answer) {
	if 4*(c.used+1) > 3*len(c.slots) {
		c.grow()
	}
	*c.find(k) = slot{*k, a}
	c.used++
}

func (c *cache) grow() {
	if len(c.slots) >= mostSlots {
		c.clear()
		return
	}
	old := c.slots
	c.slots = make([]slot, 2*len(old))
	for i := range old {
		if old[i].kind != untold {
			*c.find(&old[i].key) = old[i]
		}
	}
}

func (c *cache) clear() {
	clear(c.slots)
	c.used = 0
}

func (c *cache) hash(k *key) uint64 {
	high, low := bits.Mul64(k.to.low^k.class^c.seed[0], k.to.high^uint64(k.in)<<32^uint64(k.mark)^c.seed[1])
	return high ^ low
}
