package flow

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

const second = int64(time.Second)

func TestActiveRecordsFollowEachOther(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	for range 20 {
		h.pass(10 * time.Second)
		moves(e)
		h.dump(e)
	}
	var up []Record
	for _, r := range h.take() {
		if r.DstPort == 443 {
			up = append(up, r)
		}
	}
	if len(up) != 3 {
		t.Fatalf("%d records in 200 s, want 3", len(up))
	}
	for i, r := range up {
		wantStart := epoch + int64(i)*60*second
		if r.EndReason != EndActive || r.Start != wantStart || r.End != wantStart+60*second ||
			r.Bytes != 600 {
			t.Errorf("record %d: %+v", i, r)
		}
	}
}

// A dump is rarely on time: the one that is nearest to the timeout counts.
func TestActiveTimeoutTakesTheNearestDump(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	for range 6 {
		h.pass(10*time.Second - time.Millisecond)
		moves(e)
		h.dump(e)
	}
	if got := h.take(); len(got) != 2 {
		t.Errorf("%d records after 60 s less 6 ms, want one per direction", len(got))
	}
}

func TestIdleFlowMovesAgain(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	var asleepAt int64
	for asleepAt == 0 {
		h.pass(5 * time.Second)
		h.dump(e)
		if len(h.records) > 0 {
			asleepAt = h.now.Mono
		}
	}
	first := h.take()
	if len(first) != 2 || first[0].EndReason != EndIdle || bytesOf(first) != 1100 {
		t.Fatalf("got %+v", first)
	}
	if waited := first[0].End + 15*second + 5*second - h.now.Wall; waited < 0 {
		t.Errorf("exported %d ns later than idle timeout and poll", -waited)
	}
	h.pass(time.Minute)
	h.dump(e)
	looked := h.now.Wall
	h.pass(5 * time.Second)
	moves(e)
	h.dump(e)
	h.pass(20 * time.Second)
	h.dump(e)
	second := h.take()
	if len(second) != 2 || bytesOf(second) != 1100 || second[0].Start != looked {
		t.Errorf("the new record starts at %d, want %d, when the flow was last seen at rest: %+v",
			second[0].Start, looked, second)
	}
}

func TestIdleFlowIsNotExportedAsActive(t *testing.T) {
	h := running(t, Options{Active: 5 * time.Second, Idle: 60 * time.Second})
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.pass(time.Second)
	h.dump(e)
	h.pass(30 * time.Second)
	h.dump(e)
	if got := h.take(); len(got) != 0 {
		t.Errorf("a flow at rest was exported as active: %+v", got)
	}
}

func TestClosedConnectionIsExportedByNextDump(t *testing.T) {
	for _, state := range []uint8{conntrack.TCPTimeWait, conntrack.TCPClose} {
		h := running(t, testOptions())
		e := h.entry(conntrack.ProtoTCP)
		moves(e)
		e.State = state
		h.pass(time.Second)
		h.dump(e)
		got := h.take()
		if len(got) != 2 || got[0].EndReason != EndDetected {
			t.Fatalf("state %d: %+v", state, got)
		}
		moves(e) // a straggler
		h.pass(time.Second)
		h.expire(e, h.now.Wall)
		if got := h.take(); bytesOf(got) != 1100 || got[0].EndReason != EndDetected {
			t.Errorf("state %d: straggler %+v", state, got)
		}
	}
}

func TestEntryBetweenTwoDumpsIsExportedWhole(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.pass(3 * time.Second)
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 2 || bytesOf(got) != 1100 {
		t.Errorf("got %+v", got)
	}
}

func TestCountersZeroedByAnotherProgram(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	for range 5 {
		moves(e)
	}
	h.dump(e)
	h.pass(10 * time.Second)
	e.Counters = [2]conntrack.Counters{}
	moves(e)
	h.dump(e)
	h.expire(e, h.now.Wall)
	if got := bytesOf(h.take()); got != 6600 || h.table.Stats.CounterResets.Load() != 1 {
		t.Errorf("%d bytes, want 6600; rewound %d", got, h.table.Stats.CounterResets.Load())
	}
}

// TestZeroedCountersCountFromZeroInBothDirections: they are zeroed together, also where one has
// counted more since than before.
func TestZeroedCountersCountFromZeroInBothDirections(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		h := running(t, testOptions())
		e := h.entry(conntrack.ProtoTCP)
		var before, after [2]conntrack.Counters
		for d := range before {
			packets := uint64(1 + r.IntN(20))
			before[d] = conntrack.Counters{Packets: packets, Bytes: packets * 100}
			packets = uint64(r.IntN(20))
			after[d] = conntrack.Counters{Packets: packets, Bytes: packets * 100}
		}
		if after[0].Packets >= before[0].Packets && after[1].Packets >= before[1].Packets {
			continue // nothing shows it
		}
		e.Counters = before
		h.dump(e)
		want := counted(e)
		h.pass(time.Second)
		e.Counters = after
		h.dump(e)
		h.expire(e, h.now.Wall)
		if got := bytesOf(h.take()); got != want+counted(e) || h.table.Stats.Zeroed.Load() != 1 {
			t.Fatalf("%v, then %v: exported %d bytes, want %d", before, after, got, want+counted(e))
		}
	}
}

// TestCountersZeroedBeforeTheyWereSeen: of a connection that was answered, as a dump or its end shows it.
func TestCountersZeroedBeforeTheyWereSeen(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*conntrack.Event)
		want   uint64
	}{
		"answered":     {func(*conntrack.Event) {}, 1},
		"UDP":          {func(e *conntrack.Event) { e.Orig.Proto = conntrack.ProtoUDP }, 1},
		"not answered": {func(e *conntrack.Event) { e.Status = conntrack.Confirmed }, 0},
		"counted":      {moves, 0},
	} {
		for _, ended := range []bool{false, true} {
			h := running(t, testOptions())
			e := h.entry(conntrack.ProtoTCP)
			e.Status = conntrack.Confirmed | conntrack.SeenReply
			c.change(e)
			if ended {
				h.expire(e, h.now.Wall)
			} else {
				h.dump(e)
				h.dump(e)
			}
			s := &h.table.Stats
			if got := s.Zeroed.Load(); s.CounterResets.Load() != got || got != c.want {
				t.Errorf("%s, ended %v: %d, want %d", name, ended, got, c.want)
			}
		}
	}
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP) // as conntrackd inserts it
	e.Status = conntrack.Confirmed | conntrack.SeenReply
	e.TCPFlags = [2]conntrack.TCPFlags{0x0a, 0x0a}
	if h.dump(e); h.table.Stats.Zeroed.Load() != 0 {
		t.Error("an inserted connection counts as reset")
	}
}

func TestMissingEntryExpiresAfterTwoDumps(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.dump(e)
	h.pass(time.Second)
	h.dump()
	if got := h.take(); len(got) != 0 {
		t.Fatalf("gone after one dump: %+v", got)
	}
	h.pass(time.Second)
	h.dump()
	if got := h.take(); bytesOf(got) != 1100 || got[0].EndReason != EndIdle {
		t.Errorf("got %+v", got)
	}
	if s := &h.table.Stats; s.MissedDestroys.Load() != 1 || s.Flows.Load() != 0 {
		t.Errorf("vanished %d, flows %d", s.MissedDestroys.Load(), s.Flows.Load())
	}
}

// Dumps that miss an entry, for whatever reason, must not make it count twice when
// they show it again.
func TestMissingEntryThatComesBackCountsOnce(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	h.pass(10 * time.Second)
	h.dump(e)
	for range 6 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.pass(10 * time.Second)
	h.dump(e)
	h.pass(10 * time.Second)
	moves(e)
	h.expire(e, h.now.Wall)
	h.exported(2200)
}

// One that two dumps missed and the next one shows was exported as well, however young.
func TestMissingEntryThatComesBackInNextDumpCountsOnce(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	h.dump(e)
	for range 2 {
		h.pass(10 * time.Second)
		h.dump()
	}
	h.dump(e)
	h.table.Flush(h.now)
	if got := bytesOf(h.take()); got != 1100 || h.table.Stats.MissedDestroys.Load() != 1 {
		t.Errorf("exported %d bytes, want 1100; %d vanished", got,
			h.table.Stats.MissedDestroys.Load())
	}
}

func TestFlushExportsPendingOnce(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	h.dump(e)
	h.table.Flush(h.now)
	if got := h.take(); len(got) != 2 || got[0].EndReason != EndForced || bytesOf(got) != 1100 {
		t.Errorf("got %+v", got)
	}
	h.table.Flush(h.now)
	if got := h.take(); len(got) != 0 {
		t.Errorf("flushed twice: %+v", got)
	}
}

func TestDirectionWithoutTrafficIsNotExported(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Counters[0] = conntrack.Counters{Packets: 1, Bytes: 60}
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 1 || got[0].DstPort != 443 {
		t.Errorf("got %+v", got)
	}
}
