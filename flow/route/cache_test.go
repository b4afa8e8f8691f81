package route

import (
	"math/rand/v2"
	"testing"

	"github.com/conntally/conntally/flow"
)

// TestCacheAgainstMap compares the cache with a map under random use. It stays bounded.
func TestCacheAgainstMap(t *testing.T) {
	c, want, rnd := newCache(), map[key]answer{}, rand.New(rand.NewPCG(1, 2))
	for range 3 * mostSlots {
		k := key{to: number{low: rnd.Uint64N(mostSlots)}, from: number{low: rnd.Uint64N(2)},
			mark: rnd.Uint32N(2), in: rnd.Uint32N(2)}
		a, known := c.find(&k)
		if w, ok := want[k]; known && (!ok || a != w) {
			t.Fatalf("%+v: %+v, want %+v (%t)", k, a, w, ok)
		}
		if !known {
			a = answer{unicast, flow.NewHop(rnd.Uint32N(100), true)}
			c.add(&k, a)
			want[k] = a
		}
		if b, known := c.find(&k); !known || a != b {
			t.Fatalf("%+v was forgotten at once", k)
		}
		if len(c.slots) > mostSlots || 4*c.used > 3*len(c.slots) {
			t.Fatalf("%d of %d slots", c.used, len(c.slots))
		}
	}
	if len(c.slots) != mostSlots {
		t.Errorf("%d slots", len(c.slots))
	}
	for _, epoch := range []uint32{c.epoch, 1<<24 - 1} { // the next one wraps
		c.epoch = epoch
		c.clear()
		for k := range want {
			if _, known := c.find(&k); known {
				t.Fatal("not forgotten")
			}
		}
	}
}

// TestCacheGivesMemoryBack: after many answers and then few, two periods later the table is as
// small as what is asked for needs; one that is in use keeps its size.
func TestCacheGivesMemoryBack(t *testing.T) {
	for needed, want := range map[uint64]int{0: fewSlots, 10: fewSlots, 1000: 1 << 11,
		mostSlots / 2: mostSlots} {
		c := newCache()
		use := func(n uint64) {
			for i := range n {
				k := key{to: number{low: i}}
				if _, known := c.find(&k); !known {
					c.add(&k, answer{unicast, flow.NewHop(uint32(i), true)})
				}
			}
		}
		use(mostSlots / 2)
		for range 2 {
			c.shrink()
			use(needed)
		}
		c.shrink()
		if len(c.slots) != want {
			t.Errorf("%d slots for %d answers, want %d", len(c.slots), needed, want)
		}
		use(needed)
		for i := range needed {
			k := key{to: number{low: i}}
			if a, known := c.find(&k); !known || a.hop != flow.NewHop(uint32(i), true) {
				t.Fatalf("%d of %d is %+v (%t)", i, needed, a, known)
			}
		}
	}
}

// TestChangesDoNotHideWhatIsNeeded: the table keeps its size where routes change often.
func TestChangesDoNotHideWhatIsNeeded(t *testing.T) {
	c := newCache()
	for i := range uint64(mostSlots / 2) {
		c.add(&key{to: number{low: i}}, answer{kind: unicast})
	}
	c.clear()
	if c.shrink(); len(c.slots) != mostSlots {
		t.Errorf("%d slots after a change of routes, want %d", len(c.slots), mostSlots)
	}
}
