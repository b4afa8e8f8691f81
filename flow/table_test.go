package flow

import (
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
		if r.EndReason != EndActive || r.Start != wantStart || r.End != wantStart+60*second || r.Bytes != 600 {
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

func TestIdleThenAwakeAgain(t *testing.T) {
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
		t.Errorf("the new record starts at %d, want %d, when the flow was last seen at rest: %+v", second[0].Start, looked, second)
	}
}

func TestRestingFlowIsNotActive(t *testing.T) {
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

func TestClosedConnectionIsExportedAtOnce(t *testing.T) {
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

func TestBaseline(t *testing.T) {
	cases := map[string]struct {
		start   int64 // relative to the table, 0 = no time stamp
		inFirst bool
		want    uint64 // bytes exported of 1100 at first sight and 1100 later
	}{
		"older":                       {-5 * second, true, 1100},
		"older, no time stamps":       {0, true, 1100},
		"newer, in the first dump":    {second, true, 2200},
		"newer, later":                {second, false, 2200},
		"later, no time stamps":       {0, false, 2200},
		"later, clock set back since": {-3600 * second, false, 2200},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, testOptions())
			h.pass(2 * time.Second)
			if !c.inFirst {
				h.dump()
				h.pass(10 * time.Second)
			}
			e := h.entry(conntrack.ProtoUDP)
			e.Start = 0
			if c.start != 0 {
				e.Start = epoch + c.start
			}
			moves(e)
			h.dump(e)
			h.pass(10 * time.Second)
			moves(e)
			h.expire(e, h.now.Wall)
			if got := bytesOf(h.take()); got != c.want {
				t.Errorf("exported %d bytes, want %d", got, c.want)
			}
		})
	}
}

// What ends before the first dump reached it can't be told apart from what it
// moved before us.
func TestOlderEntryEndsDuringFirstDump(t *testing.T) {
	h := newHarness(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Start = epoch - second
	moves(e)
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 0 || h.table.Stats.Excluded.Load() != 1 {
		t.Errorf("%+v, %d ignored", got, h.table.Stats.Excluded.Load())
	}
}

func TestBetweenTwoDumps(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.pass(3 * time.Second)
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 2 || bytesOf(got) != 1100 {
		t.Errorf("got %+v", got)
	}
}

// An end that is repeated is told once: of an entry that a dump has shown, of one that
// none has, of one older than the table, of one that vanished.
func TestEndedTwice(t *testing.T) {
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
		if got := bytesOf(h.take()); got != 3300 || s.Duplicates.Load() != 9 || s.MissedDestroys.Load() != 1 {
			t.Errorf("%s: %d bytes, want 3300, %d duplicates, %d vanished", name, got, s.Duplicates.Load(), s.MissedDestroys.Load())
		}
	}
}

// Without time stamps a connection that takes another's place may have begun right after
// that was last read.
func TestRecreatedBegins(t *testing.T) {
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
func TestRecreatedAndEnded(t *testing.T) {
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

// Whoever is refused tries again from the same port: all that differs then is the start.
func TestTriedAgain(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	e.Start, e.State = 0, conntrack.TCPClose
	moves(e)
	e.Kind, e.At, e.HasTimeout = conntrack.Destroyed, h.now, true
	for range 3 {
		h.table.Apply(e)
	}
	if got := bytesOf(h.take()); got != 3300 {
		t.Errorf("exported %d bytes, want those of three connections: 3300", got)
	}
}

// A dump may show an entry that was read into the socket before its end.
func TestStaleDumpEntry(t *testing.T) {
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
func TestRecreated(t *testing.T) {
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

func TestVanishedAfterTwoDumps(t *testing.T) {
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

func TestNoRoom(t *testing.T) {
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
func TestNoRoomForBaseline(t *testing.T) {
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
		a, b := stamp(h.entry(conntrack.ProtoUDP), epoch-second), stamp(h.entry(conntrack.ProtoUDP), epoch-second)
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

// Once a dump found room for all, all is as if the table had never been full.
func TestRoomAgain(t *testing.T) {
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
	h.dump(e) // it comes back, see TestVanishedComesBack
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

func TestFlush(t *testing.T) {
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

func TestSilentDirectionSendsNothing(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Counters[0] = conntrack.Counters{Packets: 1, Bytes: 60}
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 1 || got[0].DstPort != 443 {
		t.Errorf("got %+v", got)
	}
}

func TestUncounted(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Counted = false
	h.dump(e)
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 0 || h.table.Stats.Uncounted.Load() != 2 {
		t.Errorf("%+v, uncounted %d", got, h.table.Stats.Uncounted.Load())
	}
}

func TestLeftOut(t *testing.T) {
	own := tuple(conntrack.ProtoUDP, "198.51.100.1:5000", "198.51.100.9:2055")
	o := testOptions()
	o.Exclude = func(e *conntrack.Event) bool { return e.Orig == own }
	cases := map[string]conntrack.Tuple{
		"own export": own,
		"loopback 4": tuple(conntrack.ProtoUDP, "127.0.0.1:5", "127.0.0.53:53"),
		"loopback 6": tuple(conntrack.ProtoUDP, "[::1]:5", "[::1]:53"),
		"to itself":  tuple(conntrack.ProtoUDP, "192.168.77.1:5", "192.168.77.1:53"),
	}
	for name, orig := range cases {
		h := running(t, o)
		e := h.entry(conntrack.ProtoUDP)
		e.Orig, e.Reply = orig, orig
		e.Reply.Src, e.Reply.SrcPort, e.Reply.Dst, e.Reply.DstPort = orig.Dst, orig.DstPort, orig.Src, orig.SrcPort
		moves(e)
		h.dump(e)
		h.expire(e, h.now.Wall)
		if got := h.take(); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// While another program's listener stalls, the kernel repeats an end to all, also
// long after we have forgotten it.
func TestEndedTwiceLongAgo(t *testing.T) {
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

// What found no room is exported whole at its end, and says why so late.
func TestNoRoomForLong(t *testing.T) {
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
func TestNoRoomForRecreated(t *testing.T) {
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
func TestNoRoomIsBounded(t *testing.T) {
	var a overflow
	for h := range uint64(maxOverflow + 10) {
		a.add(h, true)
	}
	if n := len(a.older); n != maxOverflow {
		t.Errorf("%d are remembered", n)
	}
}

// Dumps that miss an entry, for whatever reason, must not make it count twice when
// they show it again.
func TestVanishedComesBack(t *testing.T) {
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
func TestVanishedComesBackAtOnce(t *testing.T) {
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
		t.Errorf("exported %d bytes, want 1100; %d vanished", got, h.table.Stats.MissedDestroys.Load())
	}
}
