package route

import (
	"math/rand/v2"
	"testing"

	"github.com/conntally/conntally/flow"
)

// TestCache plays at random against a map, and stays bounded.
func TestCache(t *testing.T) {
	c, want, rnd := newCache(), map[key]answer{}, rand.New(rand.NewPCG(1, 2))
	for range 3 * mostSlots {
		k := key{to: number{low: rnd.Uint64N(mostSlots)}, class: rnd.Uint64N(2), mark: rnd.Uint32N(2), in: rnd.Uint32N(2)}
		s := c.find(&k)
		a, known := want[k]
		if s.kind != untold && (!known || s.answer != a) {
			t.Fatalf("%+v: %+v, want %+v (%t)", k, s.answer, a, known)
		}
		if s.kind == untold {
			a = answer{unicast, flow.NewHop(rnd.Uint32N(100), true)}
			c.add(&k, a)
			want[k] = a
		}
		if s := c.find(&k); s.answer != a {
			t.Fatalf("%+v was forgotten at once", k)
		}
		if len(c.slots) > mostSlots || 4*c.used > 3*len(c.slots) {
			t.Fatalf("%d of %d slots", c.used, len(c.slots))
		}
	}
	if len(c.slots) != mostSlots {
		t.Errorf("%d slots", len(c.slots))
	}
	c.clear()
	for k := range want {
		if c.find(&k).kind != untold {
			t.Fatal("not forgotten")
		}
	}
}
