package route

import (
	"hash/maphash"
	"math/bits"

	"github.com/conntally/conntally/flow"
)

// key is what an answer depends on: a question, in which the addresses are the first
// ones of their atoms.
type key struct {
	to, from number // from is 0 where it makes no difference who sends
	in       uint32 // with prefixBit where the prefix of the route is asked for
	mark     uint32
}

const prefixBit = 1 << 31 // the kernel's ifIndexes are positive and 32 bits wide

// cache remembers answers: a hash table with open addressing and linear probing, without
// pointers, so that the garbage collector doesn't scan it.
type cache struct {
	slots []slot // a power of two
	used  int
	peak  int       // the largest used since shrink was last called, of answers cleared since
	epoch uint32    // of 24 bits; slots of another one are empty
	seed  [2]uint64 // strangers choose addresses
}

type slot struct {
	key
	hop flow.Hop
	tag uint32 // epoch and kind
}

// is compares word by word: faster than the compiler's comparison of 40 bytes.
func (s *slot) is(k *key) bool {
	return s.to.low == k.to.low && s.to.high == k.to.high && s.from.low == k.from.low &&
		s.from.high == k.from.high &&
		s.in == k.in && s.mark == k.mark
}

func (s *slot) epoch() uint32 { return s.tag >> 8 }

const (
	fewSlots  = 1 << 8
	mostSlots = 1 << 16 // three quarters of which are used, at 48 B each
)

func newCache() cache {
	seed := maphash.MakeSeed()
	return cache{
		slots: make([]slot, fewSlots), epoch: 1,
		seed: [2]uint64{maphash.Comparable(seed, 0), maphash.Comparable(seed, 1)},
	}
}

// find returns the answer to k, if it is known.
func (c *cache) find(k *key) (a answer, known bool) {
	s := c.slot(k)
	return answer{kind(s.tag), s.hop}, s.epoch() == c.epoch
}

// slot returns the slot of k, or the empty one where it belongs.
func (c *cache) slot(k *key) *slot {
	mask := uint64(len(c.slots) - 1)
	for i := c.hash(k) & mask; ; i = (i + 1) & mask {
		if s := &c.slots[i]; s.epoch() != c.epoch || s.is(k) {
			return s
		}
	}
}

// add adds an answer that find doesn't know. A full cache is emptied: each answer in use comes
// back by one look-up.
func (c *cache) add(k *key, a answer) {
	if 4*(c.used+1) > 3*len(c.slots) {
		c.grow()
	}
	*c.slot(k) = slot{*k, a.hop, c.epoch<<8 | uint32(a.kind)}
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
		if old[i].epoch() == c.epoch {
			*c.slot(&old[i].key) = old[i]
		}
	}
}

// clear forgets all answers. It costs nothing: routes may change many times a second.
func (c *cache) clear() {
	c.peak = max(c.peak, c.used)
	c.used = 0
	if c.epoch++; c.epoch >= 1<<24 {
		clear(c.slots)
		c.epoch = 1
	}
}

// shrinkShare is how many times larger than needed the table must be to shrink.
const shrinkShare = 10

// shrink makes the table smaller if it had room for far more answers than were needed since
// the last call. A table that isn't the smallest is emptied, so that the next call can see how
// many answers are in use: each of those costs one look-up more.
func (c *cache) shrink() {
	if len(c.slots) > fewSlots {
		c.clear()
		if shrinkShare*c.peak < len(c.slots) {
			c.slots = make([]slot, slotsFor(c.peak))
		}
	}
	c.peak = 0
}

// slotsFor returns how many slots n answers need, with room to grow: a power of two.
func slotsFor(n int) int {
	slots := fewSlots
	for slots < 2*n {
		slots *= 2
	}
	return slots
}

func (c *cache) hash(k *key) uint64 {
	low := k.to.low ^ bits.RotateLeft64(k.from.low, 29) ^ uint64(k.in)
	high := k.to.high ^ bits.RotateLeft64(k.from.high, 29) ^ uint64(k.mark)<<32
	high, low = bits.Mul64(low^c.seed[0], high^c.seed[1])
	return high ^ low
}
