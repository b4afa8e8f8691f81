package flow

import (
	"math/rand/v2"
	"testing"

	"github.com/conntally/conntally/conntrack"
)

// shown is the entry of a dump whose key has that id and is otherwise empty.
func shown(id uint32) *conntrack.Event {
	return &conntrack.Event{ID: id, Orig: conntrack.Tuple{Family: 2}}
}

// Entries come and go, dumps show them in an order of their own, and now and then
// all are sorted or compacted: each is found with what it held, and nothing else is.
func TestSortKeepsAllEntries(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	x, model := newIndex(), map[uint32]uint64{}
	key := func(id uint32) *conntrack.Key {
		return &conntrack.Key{ID: id, Orig: conntrack.Tuple{Family: 2}}
	}
	hash := func(id uint32) uint64 { return uint64(id) * 0x9e3779b97f4a7c15 >> 20 }
	var ids []uint32
	for round := range uint32(60) {
		for n := range uint32(200) {
			id := round*1000 + n
			packets := random.Uint64()
			en := entry{key: *key(id)}
			en.last[0].Packets = packets
			x.insert(&en, hash(id))
			model[id], ids = packets, append(ids, id)
		}
		random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		for _, id := range ids[:100] {
			x.remove(key(id), hash(id))
			delete(model, id)
		}
		ids = ids[100:]
		for _, id := range ids[:len(ids)*3/4] { // a dump that misses some
			if x.following(shown(id)) == none {
				x.show(x.find(key(id), hash(id)))
			}
		}
		if round%2 == 0 {
			x.sort()
		} else {
			x.compact()
		}
		x.endDump()
		for i, id := range ids[:len(ids)*3/4] {
			if at := x.following(shown(id)); at != place(i) {
				t.Fatalf("round %d: what was shown as number %d is at place %d", round, i, at)
			}
		}
		x.endDump()
		for id, packets := range model {
			at := x.find(key(id), hash(id))
			if at == none || x.at(at).last[0].Packets != packets {
				t.Fatalf("round %d: entry %d is lost or another", round, id)
			}
		}
		if x.len() != len(model) || x.places != len(model) {
			t.Fatalf("round %d: %d entries in %d places, want %d", round, x.len(), x.places,
				len(model))
		}
	}
}

func TestSortsOnlyWhereItPays(t *testing.T) {
	x := newIndex()
	const n = 2 * sortFrom
	key := func(id uint32) *conntrack.Key {
		return &conntrack.Key{ID: id, Orig: conntrack.Tuple{Family: 2}}
	}
	for id := range uint32(n) {
		x.insert(&entry{key: *key(id)}, uint64(id))
	}
	dump := func() (jumps int) {
		for id := range uint32(n) {
			scattered := id * 1021 % n // the kernel's order
			if x.following(shown(scattered)) == none {
				x.show(x.find(key(scattered), uint64(scattered)))
			}
		}
		jumps = x.jumps
		x.endDump()
		return jumps
	}
	if first, second := dump(), dump(); first < n/2 || second > 1 {
		t.Errorf("%d, then %d jumps of %d steps", first, second, n)
	}
}
