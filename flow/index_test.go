package flow

import (
	"math/rand/v2"
	"testing"

	"github.com/conntally/conntally/conntrack"
)

// Entries of one hash stand one behind the other: each can be found and removed.
func TestCollidingHashes(t *testing.T) {
	key := func(id uint32) *conntrack.Key {
		return &conntrack.Key{ID: id, Orig: conntrack.Tuple{Family: 2}}
	}
	for _, order := range [][]uint32{{1, 2, 3}, {3, 2, 1}, {2, 1, 3}, {2, 3, 1}} {
		x := newIndex()
		const h = 42
		for id := uint32(1); id <= 3; id++ {
			x.insert(&entry{key: *key(id)}, h)
		}
		for i, id := range order {
			if at := x.find(key(id), h); at == none || x.at(at).key.ID != id {
				t.Fatalf("%v: entry %d is not found", order, id)
			}
			x.remove(key(id), h)
			if x.find(key(id), h) != none || x.len() != 2-i {
				t.Errorf("%v: entry %d is still there, or others went with it", order, id)
			}
		}
		for s := range x.slots {
			if x.slots[s].at != 0 {
				t.Errorf("%v: slot %d is still in use", order, s)
			}
		}
		x.insert(&entry{key: *key(4)}, h)
		if x.places != 3 {
			t.Errorf("%v: a free place is not used again", order)
		}
	}
}

func TestTombstonesForgetAfterTwoDumps(t *testing.T) {
	e := newTombstones()
	has := func(h uint64) bool { return e.recent(h) || e.older(h) }
	if e.add(1, at(1)) || !e.add(1, at(1)) {
		t.Error("doesn't distinguish the first time from the second")
	}
	e.rotate(at(2))
	if !has(1) || e.recent(1) || !e.add(1, at(2)) || e.add(2, at(2)) {
		t.Error("forgets what ended one dump ago")
	}
	e.rotate(at(3))
	e.rotate(at(4))
	e.add(3, at(4))
	if has(1) || has(2) || !has(3) {
		t.Error("must forget after two dumps, not before")
	}
	e.rotate(at(5))
	if !has(3) {
		t.Error("forgets too early")
	}
	if e.since != at(4) {
		t.Errorf("remembers since %v", e.since)
	}
	for h := range uint64(3 * maxTombstones) {
		e.add(h, at(3))
	}
	if n := e.current.len() + e.previous.len(); n > 2*maxTombstones {
		t.Errorf("remembers %d without a dump, want at most %d", n, 2*maxTombstones)
	}
}

func at(mono int64) conntrack.Timestamp { return conntrack.Timestamp{Mono: mono} }

// The index against a map, with hashes that collide and wrap round its end.
func TestIndexAgainstMap(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	for _, spread := range []uint64{1, 3, 40, 1 << 20} {
		x, model := newIndex(), map[uint32]bool{}
		hash := func(id uint32) uint64 { return uint64(id)*2654435761%spread + 60 }
		key := func(id uint32) *conntrack.Key {
			return &conntrack.Key{ID: id, Orig: conntrack.Tuple{Family: 2}}
		}
		for range 20_000 {
			id := random.Uint32N(300)
			if found := x.find(key(id), hash(id)) != none; found != model[id] {
				t.Fatalf("spread %d: entry %d found: %v, want %v", spread, id, found, model[id])
			}
			if model[id] {
				x.remove(key(id), hash(id))
			} else {
				x.insert(&entry{key: *key(id)}, hash(id))
			}
			model[id] = !model[id]
		}
		living := 0
		x.each(func(*entry) { living++ })
		if living != x.len() {
			t.Errorf("spread %d: %d entries, %d counted", spread, living, x.len())
		}
	}
}
