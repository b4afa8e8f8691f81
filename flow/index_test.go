package flow

import (
	"testing"

	"github.com/conntally/conntally/conntrack"
)

// Entries of one hash form a chain: each can be found and removed.
func TestCollidingHashes(t *testing.T) {
	key := func(id uint32) *conntrack.Key {
		return &conntrack.Key{ID: id, Orig: conntrack.Tuple{Family: 2}}
	}
	for _, order := range [][]uint32{{1, 2, 3}, {3, 2, 1}, {2, 1, 3}, {2, 3, 1}} {
		x := newIndex()
		const h = 42
		for id := uint32(1); id <= 3; id++ {
			x.insert(entry{key: *key(id)}, h)
		}
		for i, id := range order {
			if en := x.find(key(id), h); en == nil || en.key.ID != id {
				t.Fatalf("%v: entry %d is not found", order, id)
			}
			x.remove(key(id), h)
			if x.find(key(id), h) != nil || x.len() != 2-i {
				t.Errorf("%v: entry %d is still there, or others went with it", order, id)
			}
		}
		if len(x.first) != 0 {
			t.Errorf("%v: the index keeps %v", order, x.first)
		}
		x.insert(entry{key: *key(4)}, h)
		if x.places != 3 {
			t.Errorf("%v: a free place is not used again", order)
		}
	}
}

func TestEndedForgets(t *testing.T) {
	e := newEnded()
	e.add(1, at(1))
	e.rotate(at(2))
	e.add(2, at(2))
	if !e.has(1) || !e.has(2) || e.recent(1) {
		t.Error("forgets what ended one dump ago")
	}
	e.rotate(at(3))
	if e.has(1) || !e.has(2) {
		t.Error("must forget after two dumps, not before")
	}
	if e.since != at(2) {
		t.Errorf("remembers since %v", e.since)
	}
	for h := range uint64(3 * endedMost) {
		e.add(h, at(3))
	}
	if n := len(e.current) + len(e.previous); n > 2*endedMost {
		t.Errorf("remembers %d without a dump, want at most %d", n, 2*endedMost)
	}
}

func at(mono int64) conntrack.Instant { return conntrack.Instant{Mono: mono} }
