package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// again returns a harness for the next life of the program: it knows what saved
// tells, and the clock goes on.
func (h *harness) again(saved map[conntrack.Key]Saved) *harness {
	next := &harness{t: h.t, now: h.now}
	next.table = NewTable(testOptions(), testTimeouts(), next, next.now)
	next.table.Restore(epoch, saved)
	return next
}

// A life of ten polls, which is stopped in order or killed; then another.
func TestRestart(t *testing.T) {
	for name, killed := range map[string]bool{"SIGTERM": false, "SIGKILL": true} {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.Active = 20 * time.Second
			h := newHarness(t, o)
			h.table.Restore(epoch, nil)
			old, long, fresh := h.entry(conntrack.ProtoTCP), h.entry(conntrack.ProtoTCP), h.entry(conntrack.ProtoUDP)
			old.ID, long.ID, fresh.ID = 1, 2, 3
			old.Start = epoch - second
			moves(old) // not ours to count
			saved := map[conntrack.Key]Saved{}
			keep := func() {
				for _, s := range h.table.Notes() {
					saved[s.Key] = s
				}
			}
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
				clear(saved)
				for s := range h.table.Saved(h.now) {
					saved[s.Key] = s
				}
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

			moved := old.Counters[0].Bytes + old.Counters[1].Bytes - 1100 +
				long.Counters[0].Bytes + long.Counters[1].Bytes +
				fresh.Counters[0].Bytes + fresh.Counters[1].Bytes
			if got := bytesOf(first) + bytesOf(second); got != moved {
				t.Errorf("both lives exported %d bytes of %d (%d, then %d)", got, moved, bytesOf(first), bytesOf(second))
			}
			for _, r := range second {
				if r.Start < first[len(first)-1].Start {
					t.Errorf("a record of the second life starts in the first's: %+v", r)
				}
			}
		})
	}
}

// What the earlier life knew may end while the first dump goes on.
func TestRestartedEntryEndsBeforeItsDump(t *testing.T) {
	h := newHarness(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Start = epoch - 60*second
	moves(e)
	sent := e.Counters
	moves(e)
	next := h.again(map[conntrack.Key]Saved{e.Key(): {Key: e.Key(), Sent: sent, Until: epoch}})
	next.expire(e, next.now.Wall)
	if got := bytesOf(next.take()); got != 1100 {
		t.Errorf("exported %d bytes, want 1100", got)
	}
}

// sinkFunc is a Sink.
type sinkFunc func(*Record)

func (f sinkFunc) Export(r *Record) { f(r) }

// Whatever record makes the exporter send, what it sends is noted.
func TestNotedBeforeExported(t *testing.T) {
	h := running(t, testOptions())
	h.table.Restore(epoch, nil)
	noted := map[conntrack.Key][2]conntrack.Counters{}
	e := h.entry(conntrack.ProtoTCP)
	exported := 0
	h.table.sink = sinkFunc(func(*Record) {
		for _, s := range h.table.Notes() {
			noted[s.Key] = s.Sent
		}
		if exported++; noted[e.Key()] != e.Counters {
			t.Errorf("record %d is exported and not noted", exported)
		}
	})
	for range 7 {
		h.pass(10 * time.Second)
		moves(e)
		h.dump(e)
	}
	if exported != 2 {
		t.Errorf("%d records, want one per direction", exported)
	}
	moves(e)
	h.live(e)
	h.table.Flush(h.now)
	if exported != 4 {
		t.Errorf("%d records after Flush, want two more", exported)
	}
}
