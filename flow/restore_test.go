package flow

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// again returns a harness for the next run of the program: it knows the saved
// checkpoints, and the clock goes on.
func (h *harness) again(saved map[conntrack.Key]Checkpoint) *harness {
	next := &harness{t: h.t, now: h.now}
	next.table = NewTable(h.table.options, testTimeouts(), next, next.now)
	next.table.Restore(epoch, saved)
	return next
}

// counted returns how many bytes the kernel has counted.
func counted(entries ...*conntrack.Event) (n uint64) {
	for _, e := range entries {
		n += e.Counters[0].Bytes + e.Counters[1].Bytes
	}
	return n
}

// A run of ten polls, which is stopped in order or killed; then another.
func TestRestartCountsEachByteOnce(t *testing.T) {
	for name, killed := range map[string]bool{"SIGTERM": false, "SIGKILL": true} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.Active = 20 * time.Second
			h := newHarness(t, o)
			h.table.Restore(epoch, nil)
			old, long, fresh := h.entry(conntrack.ProtoTCP), h.entry(conntrack.ProtoTCP),
				h.entry(conntrack.ProtoUDP)
			old.ID, long.ID, fresh.ID = 1, 2, 3
			old.Start = epoch - second
			moves(old) // not ours to count
			saved := map[conntrack.Key]Checkpoint{}
			keep := func() { maps.Insert(saved, maps.All(kept(h.table.NewCheckpoints()...))) }
			h.dump(old)
			keep()
			for range 10 {
				h.pass(10 * time.Second)
				moves(old)
				moves(long)
				h.dump(old, long)
				keep()
			}
			if !killed {
				moves(old)
				h.live(old)
				h.table.Flush(h.now)
				saved = kept(slices.Collect(h.table.Checkpoints())...)
			}
			first := h.take()

			h.pass(3 * time.Second) // while nobody looks
			fresh.Start = h.now.Wall
			moves(old)
			moves(long)
			moves(fresh)
			next := h.again(saved)
			next.pass(time.Second)
			next.dump(old, long, fresh)
			next.pass(time.Second)
			for _, e := range []*conntrack.Event{old, long, fresh} {
				next.expire(e, next.now.Wall)
			}
			second := next.take()

			got, moved := bytesOf(first)+bytesOf(second), counted(old, long, fresh)-1100
			if got != moved {
				t.Errorf("both runs exported %d bytes of %d (%d, then %d)",
					got, moved, bytesOf(first), bytesOf(second))
			}
			for _, r := range second {
				if r.Start < first[len(first)-1].Start {
					t.Errorf("a record of the second run starts in the first one's: %+v", r)
				}
			}
		})
	}
}

// The record that goes on after a restart starts where the last one ended, or when the
// connection was last seen at rest, wherever the system clock was set.
func TestRestoredRecordStartsWhereTheLastEnded(t *testing.T) {
	const polls = 10 * time.Second
	cases := map[string]struct {
		killed bool
		moving int // polls
		rest   int // then
		step   time.Duration
		want   int64 // since the table began
	}{
		"SIGTERM":                    {false, 2, 0, 0, 20 * second},
		"SIGTERM, clock set ahead":   {false, 2, 0, 56 * 365 * 24 * time.Hour, 20 * second},
		"SIGKILL":                    {true, 2, 0, 0, 20 * second},
		"SIGKILL, clock set ahead":   {true, 2, 0, 56 * 365 * 24 * time.Hour, 20 * second},
		"SIGKILL, clock set back":    {true, 2, 0, -time.Hour, 20 * second},
		"SIGTERM after an idle hour": {false, 1, 360, 0, 3610 * second},
		// when it was exported as idle
		"SIGKILL after an idle hour": {true, 1, 360, 0, 30 * second},
	}
	for name, c := range cases {
		o := testOptions()
		if c.killed {
			o.Active = 20 * time.Second
		}
		h := running(t, o)
		h.table.Restore(epoch, nil)
		began, e := h.now.Mono, h.entry(conntrack.ProtoTCP)
		for i := range c.moving + c.rest {
			if i < c.moving {
				moves(e)
			}
			h.pass(polls)
			h.dump(e)
		}
		saved := kept(slices.Clone(h.table.NewCheckpoints())...)
		h.now.Wall += int64(c.step)
		if !c.killed {
			h.table.Flush(h.now)
			saved = kept(slices.Collect(h.table.Checkpoints())...)
		}
		next := h.again(saved)
		moves(e)
		next.pass(time.Second)
		next.dump(e)
		next.table.Flush(next.now)
		got := next.take()
		if start := toMono(got[0].Start, next.now) - began; len(got) != 2 || start != c.want {
			t.Errorf("%s: %d records, start at %v, want %v", name, len(got), time.Duration(start),
				time.Duration(c.want))
		}
	}
}

// An entry older than the first run has a checkpoint of when that run first saw it.
func TestOlderEntriesStayOlderAfterRestart(t *testing.T) {
	h := newHarness(t, testOptions())
	h.table.Restore(epoch, nil)
	e := h.entry(conntrack.ProtoTCP)
	e.Start -= 3600 * second
	moves(e)
	h.pass(time.Second)
	h.dump(e)
	next := h.again(kept(h.table.NewCheckpoints()...))
	moves(e)
	next.pass(time.Second)
	next.dump(e)
	next.table.Flush(next.now)
	if r := next.take2(0); bytesOf(next.take()) != 1100 || r.Start != epoch+second {
		t.Errorf("%+v", r)
	}
}

// SYN is in a connection's first record, in whichever run that is. Nor does a timer
// refer to packets that a previous run has exported.
func TestRestoredRecord(t *testing.T) {
	h := running(t, testOptions())
	exported, met := h.entry(conntrack.ProtoTCP), h.entry(conntrack.ProtoTCP)
	met.ID = 8
	moves(exported)
	h.pass(100 * time.Second)
	next := h.again(kept(Checkpoint{Key: exported.Key(), Sent: exported.Counters,
		Until: h.now.Mono}, Checkpoint{Key: met.Key(), Until: h.now.Mono}))
	next.pass(10 * time.Second)
	for _, e := range []*conntrack.Event{exported, met} {
		moves(e)
		// another program's: a packet 50 s before the restart
		e.Timeout, e.HasTimeout = 432000-60, true
		next.live(e)
	}
	next.table.Flush(next.now)
	for _, r := range next.take() {
		if syn := r.TCPFlags&tcpSYN != 0; syn != (r.ID>>32 == 8) || r.End != next.now.Wall {
			t.Errorf("connection %d: flags %#x, from %d to %d", r.ID>>32, r.TCPFlags, r.Start,
				r.End)
		}
	}
}

// What a whole dump doesn't show is gone, and needn't be known any longer.
func TestCheckpointsOfEndedEntriesAreForgotten(t *testing.T) {
	h := running(t, testOptions())
	next := h.again(kept(Checkpoint{Key: h.entry(conntrack.ProtoTCP).Key()}))
	next.dump()
	if left := slices.Collect(next.table.Checkpoints()); len(left) != 0 {
		t.Errorf("%+v", left)
	}
}

// A file of a version that kept times of the system clock does no harm.
func TestCheckpointOfTheFutureIsLimitedToNow(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	next := h.again(kept(Checkpoint{Key: e.Key(), Until: epoch}))
	moves(e)
	next.dump(e)
	next.table.Flush(next.now)
	if got := next.take(); len(got) != 2 || got[0].Start != next.now.Wall ||
		got[0].End != next.now.Wall {
		t.Errorf("%+v", got)
	}
}

// An entry that the previous run knew may end during the first dump.
func TestRestartedEntryEndsBeforeItsDump(t *testing.T) {
	h := newHarness(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Start = epoch - 60*second
	moves(e)
	sent := e.Counters
	moves(e)
	next := h.again(map[conntrack.Key]Checkpoint{e.Key(): {Key: e.Key(), Sent: sent,
		Until: h.now.Mono}})
	next.expire(e, next.now.Wall)
	next.exported(1100)
}

// sinkFunc is a Sink.
type sinkFunc func(*Pair)

func (f sinkFunc) Export(p *Pair) { f(p) }

func (sinkFunc) Flush(conntrack.Timestamp) {}

// Whichever record makes the exporter send, the records that it sends have checkpoints.
func TestCheckpointComesBeforeExport(t *testing.T) {
	h := running(t, testOptions())
	h.table.Restore(epoch, nil)
	noted := map[conntrack.Key][2]conntrack.Counters{}
	e := h.entry(conntrack.ProtoTCP)
	exported := 0
	h.table.sink = sinkFunc(func(*Pair) {
		for _, s := range h.table.NewCheckpoints() {
			noted[s.Key] = s.Sent
		}
		if exported++; noted[e.Key()] != e.Counters {
			t.Errorf("pair %d is exported without a checkpoint", exported)
		}
	})
	for range 7 {
		h.pass(10 * time.Second)
		moves(e)
		h.dump(e)
	}
	if exported != 1 {
		t.Errorf("%d pairs, want one", exported)
	}
	moves(e)
	h.live(e)
	h.table.Flush(h.now)
	if exported != 2 {
		t.Errorf("%d pairs after Flush, want one more", exported)
	}
}

// kept is what a state file would hold of these checkpoints.
func kept(all ...Checkpoint) map[conntrack.Key]Checkpoint {
	saved := map[conntrack.Key]Checkpoint{}
	for _, s := range all {
		saved[s.Key] = s
	}
	return saved
}

// An entry that a previous run exported in part is known until a dump has found room for all.
func TestRestoredEntriesWithoutRoomCountOnce(t *testing.T) {
	o := testOptions()
	o.MaxFlows = 1
	h := running(t, o)
	a, b := h.entry(conntrack.ProtoTCP), h.entry(conntrack.ProtoTCP)
	b.ID = 8
	moves(b)
	sent := Checkpoint{Key: b.Key(), Sent: b.Counters}
	next := h.again(kept(sent))
	for range 5 {
		next.pass(10 * time.Second)
		moves(a)
		next.dump(a, b)
	}
	next.take()
	third := next.again(kept(slices.Collect(next.table.Checkpoints())...))
	for _, h := range []*harness{next, third} {
		moves(b)
		h.pass(time.Second)
		h.expire(b, h.now.Wall)
		got, want := bytesOf(h.take()), b.Counters[0].Bytes+b.Counters[1].Bytes-1100
		if got != want {
			t.Errorf("exported %d bytes, want the %d since the first run", got, want)
		}
	}
}

// A run that reads no whole dump forgets nothing that a previous one exported.
func TestRestartBeforeFirstDumpLosesNothing(t *testing.T) {
	h := running(t, testOptions())
	shown, unseen := h.entry(conntrack.ProtoTCP), h.entry(conntrack.ProtoTCP)
	unseen.ID = 8
	moves(shown)
	moves(unseen)
	second := h.again(kept(Checkpoint{Key: shown.Key(), Sent: shown.Counters},
		Checkpoint{Key: unseen.Key(), Sent: unseen.Counters}))
	second.live(shown)
	third := second.again(kept(slices.Collect(second.table.Checkpoints())...))
	moves(shown)
	moves(unseen)
	third.dump(shown, unseen)
	third.table.Flush(third.now)
	third.exported(2200)
}

// What ends while the kernel can't report ends is in no dump, and known all the same.
func TestRestoredEntryMayEndLate(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	next := h.again(kept(Checkpoint{Key: e.Key(), Sent: e.Counters}))
	moves(e)
	for range 3 {
		next.table.ExpectLateEnds(next.now)
		next.dump()
	}
	next.expire(e, next.now.Wall)
	next.exported(1100)
}

// Its counters may have been zeroed by another program since: what they hold is new, and is said.
func TestRestoredEntryEndsWithZeroedCounters(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoTCP)
	for range 5 {
		moves(e)
	}
	next := h.again(kept(Checkpoint{Key: e.Key(), Sent: e.Counters}))
	e.Counters = [2]conntrack.Counters{}
	moves(e)
	next.expire(e, next.now.Wall)
	next.exported(1100)
	if got := next.table.Stats.CounterResets.Load(); got != 1 {
		t.Errorf("%d times zeroed, want 1", got)
	}
}

// After the clock was set back in the first run, a connection that began since is not
// taken to be older than that: it is new to the second run, and counts.
func TestRestartAfterClockSetBack(t *testing.T) {
	h := running(t, testOptions())
	h.now.Wall -= int64(time.Hour)
	fresh := h.entry(conntrack.ProtoTCP) // a crash loses it
	h.pass(10 * time.Second)
	next := h.again(nil)
	moves(fresh)
	next.dump(fresh)
	next.table.Flush(next.now)
	next.exported(1100)
}

// Without time stamps a new connection may have the identity of one that an earlier
// run has exported in part: it is another all the same.
func TestNewConnectionWithRestoredKeyCountsWhole(t *testing.T) {
	o := testOptions()
	o.NATEvents = true
	h := newHarness(t, o)
	e := h.masqueraded(conntrack.ProtoUDP)
	e.Start = 0
	moves(e)
	next := h.again(kept(Checkpoint{Key: e.Key(), Sent: e.Counters}))
	for range 4 {
		moves(e)
	}
	next.live(e)
	e.Counters = [2]conntrack.Counters{}
	moves(e)
	moves(e)
	next.live(e)
	next.table.Flush(next.now)
	got := next.take()
	if bytesOf(got) != 6600 {
		t.Errorf("exported %d bytes, want 6600", bytesOf(got))
	}
	if n := len(natEvents(got)); n != 2 {
		t.Errorf("got %q, want the end of the first and the beginning of the second",
			natEvents(got))
	}
}
