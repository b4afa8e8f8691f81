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

// comesOnce ends an entry as eBPF reports it.
func (h *harness) comesOnce(e *conntrack.Event, stop int64) {
	e.Once = true
	h.expire(e, stop)
}

// TestAwaitedEnds: while every end is known to come, what dumps have shown, and what they haven't,
// is exported whole, hours later, and once; what was read before is exported soon.
func TestAwaitedEnds(t *testing.T) {
	h := running(t, testOptions())
	h.table.AwaitEnds(true)
	h.pass(time.Second)
	met, unmet := h.entry(conntrack.ProtoTCP), h.entry(conntrack.ProtoTCP)
	unmet.ID = 8
	moves(met)
	h.dump(met)
	h.pass(time.Second)
	moves(met)
	moves(unmet)
	stop := h.now.Wall
	for range 3 {
		h.pass(2 * time.Second)
		h.dump()
	}
	h.exported(1100)
	for range 10 {
		h.pass(time.Hour)
		h.dump()
	}
	h.comesOnce(met, stop)
	h.comesOnce(unmet, stop)
	h.exported(2200)
	s := &h.table.Stats
	if s.MissedDestroys.Load() != 0 || s.LateEnds.Load() != 0 || s.Flows.Load() != 0 {
		t.Errorf("%d vanished, %d late, %d flows", s.MissedDestroys.Load(), s.LateEnds.Load(),
			s.Flows.Load())
	}
}

// TestAwaitedForADay: then the end is taken for lost, and counted as such.
func TestAwaitedForADay(t *testing.T) {
	h := running(t, testOptions())
	h.table.AwaitEnds(true)
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	h.dump(e)
	for range 30 {
		h.pass(time.Hour)
		h.dump()
	}
	h.exported(1100)
	if n := h.table.Stats.MissedDestroys.Load(); n != 1 {
		t.Errorf("%d vanished", n)
	}
}

// TestLateEndsAfterLostOnes: once entries have disappeared, the end of one from before may be that
// of one of them. It is counted, and not exported; later ones are.
func TestLateEndsAfterLostOnes(t *testing.T) {
	h := running(t, testOptions())
	h.table.AwaitEnds(true)
	h.pass(time.Second)
	gone, unmet, later := h.entry(conntrack.ProtoTCP), h.entry(conntrack.ProtoTCP),
		h.entry(conntrack.ProtoTCP)
	unmet.ID, later.ID = 8, 9
	moves(gone)
	moves(unmet)
	h.dump(gone)
	stop := h.now.Wall
	h.table.AwaitEnds(false) // some were lost
	for range 20 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.table.AwaitEnds(true)
	h.comesOnce(gone, stop)
	h.comesOnce(unmet, stop)
	h.exported(1100)
	if n := h.table.Stats.LateEnds.Load(); n != 2 {
		t.Errorf("%d late, want 2", n)
	}
	moves(later)
	stop = h.now.Wall
	for range 20 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.comesOnce(later, stop)
	h.exported(1100)
}

// TestHeldSinceBefore: an entry that had ended when the table began, and whose memory is freed
// later, isn't the table's.
func TestHeldSinceBefore(t *testing.T) {
	h := newHarness(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	e.Start -= int64(time.Hour)
	moves(e)
	stop := h.now.Wall - int64(time.Minute)
	for range 5 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.comesOnce(e, stop)
	h.exported(0)
}
