package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

func TestFullTableExportsTheRestAtItsEnd(t *testing.T) {
	o := testOptions()
	o.MaxFlows = 1
	h := running(t, o)
	a, b := h.entry(conntrack.ProtoUDP), h.entry(conntrack.ProtoUDP)
	b.ID = 8
	moves(a)
	moves(b)
	h.dump(a, b)
	h.pass(10 * time.Second)
	moves(a)
	moves(b)
	h.dump(a, b)
	if n := h.table.Stats.Flows.Load(); n != 1 {
		t.Errorf("%d flows in a table for 1", n)
	}
	h.expire(a, h.now.Wall)
	h.expire(b, h.now.Wall)
	h.exported(4400)
}

// An entry older than the table that found no room must not count in full later,
// while a new one does, wherever the system clock was set meanwhile.
func TestFullTableDoesNotCountOlderEntriesWhole(t *testing.T) {
	for name, c := range map[string]struct {
		stamped bool
		step    time.Duration
	}{"time stamps": {true, 0}, "none": {false, 0}, "clock set back since": {true, -time.Hour}} {
		o := testOptions()
		o.MaxFlows = 1
		h := newHarness(t, o)
		stamp := func(e *conntrack.Event, start int64) *conntrack.Event {
			moves(e)
			if e.Start = 0; c.stamped {
				e.Start = start
			}
			return e
		}
		a, b := stamp(h.entry(conntrack.ProtoUDP), epoch-second),
			stamp(h.entry(conntrack.ProtoUDP), epoch-second)
		b.ID = 8
		h.dump(a, b)
		h.now.Wall += int64(c.step)
		fresh := stamp(h.entry(conntrack.ProtoUDP), h.now.Wall)
		fresh.ID = 9
		h.pass(10 * time.Second)
		h.dump(a, b, fresh)
		for _, e := range []*conntrack.Event{a, b, fresh} {
			h.expire(e, h.now.Wall)
		}
		if got := bytesOf(h.take()); got != 1100 {
			t.Errorf("%s: exported %d bytes, want those of the new one: 1100", name, got)
		}
	}
}

// Once a dump has found room for all, everything is as if the table had never been full.
func TestTableWithRoomAgainWorksAsBefore(t *testing.T) {
	o := testOptions()
	o.MaxFlows = 1
	h := running(t, o)
	a, b := h.entry(conntrack.ProtoUDP), h.entry(conntrack.ProtoUDP)
	b.ID = 8
	h.dump(a, b)
	h.expire(a, h.now.Wall)
	h.expire(b, h.now.Wall)
	h.dump()

	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	h.dump(e)
	for range 6 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.dump(e) // it comes back, see TestMissingEntryThatComesBackCountsOnce
	moves(e)
	h.expire(e, h.now.Wall)
	h.exported(2200)
	unseen := h.entry(conntrack.ProtoUDP)
	moves(unseen)
	for range 5 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.expire(unseen, h.now.Wall)
	if got := h.take(); bytesOf(got) != 1100 || got[0].EndReason != EndIdle {
		t.Errorf("%+v, want 1100 bytes and the reason of its end", got)
	}
}

// An entry that found no room is exported whole at its end, with the reason for the delay.
func TestEndOfEntryWithoutRoomHasResourcesReason(t *testing.T) {
	o := testOptions()
	o.MaxFlows = 1
	h := running(t, o)
	a, b := h.entry(conntrack.ProtoUDP), h.entry(conntrack.ProtoUDP)
	b.ID = 8
	for range 5 {
		h.pass(10 * time.Second)
		moves(a)
		moves(b)
		h.dump(a, b)
	}
	h.take()
	h.expire(b, h.now.Wall)
	if got := h.take(); bytesOf(got) != 5500 || got[0].EndReason != EndResources {
		t.Errorf("got %+v", got)
	}
	short := h.entry(conntrack.ProtoUDP) // it needed no room
	moves(short)
	h.expire(short, h.now.Wall)
	if got := h.take(); bytesOf(got) != 1100 || got[0].EndReason != EndIdle {
		t.Errorf("got %+v", got)
	}
}

// Without time stamps a new connection may have the identity of one that is older than the
// table: it counts, although there is no room.
func TestNewConnectionsWithKeysOfOlderOnesCountInFullTable(t *testing.T) {
	o := testOptions()
	o.MaxFlows = 1
	h := newHarness(t, o)
	var all []*conntrack.Event
	for id := range uint32(3) {
		e := h.entry(conntrack.ProtoUDP)
		e.ID, e.Start = id, 0
		moves(e)
		all = append(all, e)
	}
	h.dump(all...)
	h.expire(all[0], h.now.Wall) // makes room for the next one
	h.dump(all[1:]...)
	h.expire(all[1], h.now.Wall)
	h.expire(all[2], h.now.Wall) // found none
	for _, e := range all {
		moves(e)
		h.expire(e, h.now.Wall)
	}
	if got := bytesOf(h.take()); got != 6600 {
		t.Errorf("exported %d bytes, want those of three new ones: 6600", got)
	}
}

// What is remembered of entries that find no room is bounded, too.
func TestOverflowMemoryIsBounded(t *testing.T) {
	var a overflow
	for h := range uint64(maxOverflow + 10) {
		a.add(h, true)
	}
	if n := len(a.older); n != maxOverflow {
		t.Errorf("%d are remembered", n)
	}
}
