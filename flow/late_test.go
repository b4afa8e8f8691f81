package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// TestLateEndsAreExported: with reliable delivery the kernel reports an end as often as it
// takes. Dying entries are in no dump, and their final counters come late, once.
func TestLateEndsAreExported(t *testing.T) {
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
		h.table.ExpectLateEnds(h.now)
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
	if got := bytesOf(h.take()); got != 3300 || s.MissedDestroys.Load() != 0 ||
		s.Duplicates.Load() != 4 || s.Flows.Load() != 0 {
		t.Errorf("%d bytes, %d vanished, %d duplicates, %d flows", got, s.MissedDestroys.Load(),
			s.Duplicates.Load(), s.Flows.Load())
	}
}

// TestEntryMissedByDumpsThenEndedCountsOnce: an entry that dumps failed to show, for the
// kernel resized its table, ends as any other.
func TestEntryMissedByDumpsThenEndedCountsOnce(t *testing.T) {
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

// TestEndAfterMissedDestroyCountsOnce: what vanished was exported; a late report of it is not.
func TestEndAfterMissedDestroyCountsOnce(t *testing.T) {
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
	if got := bytesOf(h.take()); got != 1100 || h.table.Stats.MissedDestroys.Load() != 1 {
		t.Errorf("%d bytes, %d vanished", got, h.table.Stats.MissedDestroys.Load())
	}
}

// TestClockSetBeforeRead: a stamp of before the clock was set ahead makes what is new
// look old. It counts all the same.
func TestClockSetBeforeRead(t *testing.T) {
	cases := []struct {
		step  time.Duration
		ended bool // before a dump shows it
	}{{time.Hour, true}, {time.Hour, false}, {time.Second / 2, false}}
	for _, c := range cases {
		h := running(t, testOptions())
		for range 5 {
			h.dump() // in a hurry
		}
		e := h.entry(conntrack.ProtoUDP)
		moves(e)
		stop := h.now.Wall
		h.now.Wall += int64(c.step)
		if c.ended {
			h.expire(e, stop)
		} else {
			h.live(e)
			h.table.Flush(h.now)
		}
		if got := bytesOf(h.take()); got != 1100 {
			t.Errorf("%+v: exported %d bytes, want 1100", c, got)
		}
	}
}

// TestEndIsKnownLate: where polls are frequent, too, an end that eBPF reports only when a packet of
// the connection is no longer waiting for a neighbour is exported, once.
func TestEndIsKnownLate(t *testing.T) {
	for late := time.Second; late <= 7*time.Second; late += time.Second {
		h := running(t, testOptions())
		for range 10 {
			h.pass(2 * time.Second)
			h.dump()
		}
		met, unmet := h.entry(conntrack.ProtoUDP), h.entry(conntrack.ProtoUDP)
		unmet.ID = 8
		moves(met)
		moves(unmet)
		h.dump(met)
		stop := h.now.Wall
		for at := time.Duration(0); at < late; at += time.Second {
			h.pass(time.Second)
			if at/time.Second%2 == 1 {
				h.dump()
			}
		}
		h.expire(met, stop)
		h.expire(unmet, stop)
		h.dump()
		h.pass(time.Second)
		h.expire(met, stop)
		h.expire(unmet, stop)
		if got := bytesOf(h.take()); got != 2200 {
			t.Errorf("%v late: %d bytes, want 2200", late, got)
		}
	}
}
