package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// An end that is repeated is exported once: of an entry that a dump has shown, of one that
// none has, of one older than the table, of one whose end was missed.
func TestRepeatedEndIsExportedOnce(t *testing.T) {
	for name, start := range map[string]int64{"time stamps": epoch, "none": 0} {
		h := newHarness(t, testOptions())
		var all []*conntrack.Event
		for id := range uint32(4) {
			e := h.entry(conntrack.ProtoUDP)
			e.ID, e.Start = id, start
			all = append(all, e)
		}
		shown, unseen, older, vanished := all[0], all[1], all[2], all[3]
		moves(older)
		if start != 0 {
			older.Start -= second
		}
		h.dump(older)
		for _, e := range []*conntrack.Event{shown, unseen, vanished} {
			moves(e)
		}
		h.dump(shown, older, vanished)
		h.dump(shown, older)
		h.dump(shown, older)
		for range 3 {
			for _, e := range all {
				h.expire(e, h.now.Wall)
			}
			h.dump()
		}
		s := &h.table.Stats
		if got := bytesOf(h.take()); got != 3300 || s.Duplicates.Load() != 9 ||
			s.MissedDestroys.Load() != 1 {
			t.Errorf("%s: %d bytes, want 3300, %d duplicates, %d vanished", name, got,
				s.Duplicates.Load(), s.MissedDestroys.Load())
		}
	}
}

// Without time stamps a connection that takes another's place may have begun right after
// that was last read.
func TestNewConnectionWithSameKeyStartsAtLastReading(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Start = 0
	moves(e)
	moves(e)
	h.dump(e)
	h.table.Flush(h.now)
	h.take()
	e.Counters = [2]conntrack.Counters{}
	moves(e)
	h.pass(10 * time.Second)
	h.dump(e)
	h.table.Flush(h.now)
	if r := h.take2(0); r.Start != epoch || r.End != h.now.Wall {
		t.Errorf("from %d to %d, want %d to %d", r.Start, r.End, epoch, h.now.Wall)
	}
}

// Without time stamps another connection may have the same identity and end right after.
func TestShortConnectionsWithSameKeyAllCount(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Start = 0
	for range 3 {
		moves(e)
		h.expire(e, h.now.Wall)
	}
	if got := bytesOf(h.take()); got != 6600 {
		t.Errorf("exported %d bytes, want those of three connections: 6600", got)
	}
}

// A client that is refused tries again from the same port: all that differs then is the start.
func TestRefusedRetriesAllCount(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	e.Start, e.State = 0, conntrack.TCPClose
	moves(e)
	e.Type, e.At, e.HasTimeout = conntrack.Destroy, h.now, true
	for range 3 {
		h.table.Apply(e)
	}
	if got := bytesOf(h.take()); got != 3300 {
		t.Errorf("exported %d bytes, want those of three connections: 3300", got)
	}
}

// A dump may show an entry that was read into the socket before its end.
func TestDumpEntryAfterItsEndIsStale(t *testing.T) {
	for name, start := range map[string]int64{"time stamps": epoch, "none": 0} {
		h := running(t, testOptions())
		e := h.entry(conntrack.ProtoUDP)
		e.Start = start
		moves(e)
		h.expire(e, h.now.Wall)
		h.dump(e)
		for range 3 {
			h.pass(20 * time.Second)
			h.dump()
		}
		if got := bytesOf(h.take()); got != 1100 || h.table.Stats.StaleEntries.Load() != 1 {
			t.Errorf("%s: %d bytes, %d stale", name, got, h.table.Stats.StaleEntries.Load())
		}
	}
}

// The kernel gives a new connection the ID of an old one with the same tuple.
func TestNewConnectionWithSameIDCounts(t *testing.T) {
	for name, step := range map[string]int64{"time stamps": second, "none": 0} {
		h := running(t, testOptions())
		e := h.entry(conntrack.ProtoUDP)
		if step == 0 {
			e.Start = 0
		}
		moves(e)
		moves(e)
		h.dump(e)
		again := *e
		again.Counters = [2]conntrack.Counters{}
		again.Start += step
		moves(&again)
		h.pass(10 * time.Second)
		h.dump(&again) // the end of the first was lost
		h.pass(10 * time.Second)
		h.dump(&again)
		h.expire(&again, h.now.Wall)
		if got := bytesOf(h.take()); got != 3300 {
			t.Errorf("%s: exported %d bytes, want 3300", name, got)
		}
		if n := h.table.Stats.Flows.Load(); n != 0 {
			t.Errorf("%s: %d flows are left", name, n)
		}
	}
}

// While the socket of another program stalls, the kernel repeats an end to all, even long
// after its tombstone is gone.
func TestEndRepeatedLongAfterwardsIsExportedOnce(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.pass(time.Second)
	stop := h.now.Wall
	h.expire(e, stop)
	for range 5 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.expire(e, stop)
	if got := bytesOf(h.take()); got != 1100 || h.table.Stats.Duplicates.Load() != 1 {
		t.Errorf("%d bytes, %d duplicates", got, h.table.Stats.Duplicates.Load())
	}
}
