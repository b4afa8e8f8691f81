package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// TestLateEnds: with reliable delivery the kernel reports an end as often as it
// takes. Dying entries are in no dump, and their final counters come late, once.
func TestLateEnds(t *testing.T) {
	h := running(t, testOptions())
	for range 5 {
		h.pass(10 * time.Second)
		h.dump()
	}
	met, unmet := h.entry(conntrack.ProtoUDP), h.entry(conntrack.ProtoUDP)
	unmet.ID = 8
	moves(met)
	h.dump(met)
	h.pass(time.Second)
	moves(met)
	moves(unmet)
	stop := h.now.Wall
	for range 20 {
		h.pass(10 * time.Second)
		h.table.Late(h.now)
		h.dump()
	}
	for range 2 {
		h.expire(met, stop)
		h.expire(unmet, stop)
		h.pass(time.Second)
		h.dump()
	}
	for range 5 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.expire(met, stop)
	h.expire(unmet, stop)
	s := &h.table.Stats
	if got := bytesOf(h.take()); got != 3300 || s.Vanished.Load() != 0 || s.Duplicates.Load() != 4 || s.Flows.Load() != 0 {
		t.Errorf("%d bytes, %d vanished, %d duplicates, %d flows", got, s.Vanished.Load(), s.Duplicates.Load(), s.Flows.Load())
	}
}

// TestUnseenThenEnded: an entry that dumps failed to show, for the kernel resized its
// table, ends as any other.
func TestUnseenThenEnded(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	for range 5 {
		h.pass(10 * time.Second)
		h.dump()
	}
	moves(e)
	h.expire(e, h.now.Wall)
	if got := bytesOf(h.take()); got != 1100 {
		t.Errorf("%d bytes", got)
	}
}

// TestVanishedThenEnded: what vanished was exported; a late report of it is not.
func TestVanishedThenEnded(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.dump(e)
	stop := h.now.Wall
	for range 9 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.expire(e, stop)
	if got := bytesOf(h.take()); got != 1100 || h.table.Stats.Vanished.Load() != 1 {
		t.Errorf("%d bytes, %d vanished", got, h.table.Stats.Vanished.Load())
	}
}
