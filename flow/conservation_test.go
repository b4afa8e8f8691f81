package flow

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// TestConservation simulates a kernel at random: connections begin, move, end, begin again
// with the same identity, and are dumped late or twice; their ends are repeated; the table may
// have room for a few of them only; it gives back memory; the program is stopped and started
// again. Whatever happens, everything that moved is exported once.
func TestConservation(t *testing.T) { conserves(t, false) }

// TestConservationOfLateEnds: the same where each end comes once, up to hours late, in any order, as
// eBPF reports them.
func TestConservationOfLateEnds(t *testing.T) { conserves(t, true) }

func conserves(t *testing.T, once bool) {
	for seed := range uint64(400) {
		w := newWorld(t, seed, once)
		for range 400 {
			w.step()
		}
		w.end()
		if got := bytesOf(w.take()); got != w.moved {
			s := &w.table.Stats
			t.Fatalf("seed %d: exported %d bytes of %d; %d excluded, %d repeated, %d late", seed, got,
				w.moved, s.Excluded.Load(), s.Duplicates.Load(), s.LateEnds.Load())
		}
	}
}

// TestNothingCountsTwiceWhateverIsExcluded: the same while filters change at random, by a reload
// or a restart. What no filter ever excluded is exported once, the rest at most once.
func TestNothingCountsTwiceWhateverIsExcluded(t *testing.T) {
	for seed := range uint64(400) {
		w := newWorld(t, seed, seed%2 == 1)
		w.filtered = map[uint32]bool{}
		for range 400 {
			if w.rand.IntN(40) == 0 {
				w.table.Reconfigure(w.filter())
			}
			w.step()
		}
		w.end()
		exported := map[uint32]uint64{}
		for _, r := range w.take() {
			exported[r.Mark] += r.Bytes
		}
		for mark, moved := range w.movedBy {
			got := exported[mark]
			if got > moved || got < moved && !w.filtered[mark] {
				t.Fatalf("seed %d: connection %d, excluded: %t: exported %d bytes of %d", seed, mark,
					w.filtered[mark], got, moved)
			}
		}
	}
}

// world is a kernel at random around a table.
type world struct {
	*harness
	rand   *rand.Rand
	living []*conntrack.Event
	moved  uint64
	id     uint32
	saved  map[conntrack.Key]Checkpoint // the state file

	movedBy  map[uint32]uint64 // by connection: its mark
	filtered map[uint32]bool   // the connections that a filter ever excluded; nil: none are used

	once     bool               // ends come once, and late
	opened   int64              // when the program began: first it reads ends by netlink, wall
	attached int64              // since when it does no more, wall
	dying    []*conntrack.Event // in no dump any more; Stop is when they ended
}

func newWorld(t *testing.T, seed uint64, once bool) *world {
	o := Options{Active: 20 * time.Second, Idle: 5 * time.Second, NAT: View(seed % 2)}
	o.NATEvents = seed%3 == 0
	o.MaxFlows = int(seed % 5 * 3) // 0 is no bound
	w := &world{harness: newHarness(t, o), rand: rand.New(rand.NewPCG(seed, 1)),
		saved: map[conntrack.Key]Checkpoint{}, movedBy: map[uint32]uint64{}, once: once}
	w.begin(o)
	w.dump()
	return w
}

// begin starts the program. What netlink has reported to a previous run is not held any longer: that
// eBPF repeats it, this one can't know.
func (w *world) begin(o Options) {
	w.dying = slices.DeleteFunc(w.dying, w.byNetlink)
	w.table = NewTable(o, testTimeouts(), w, w.now)
	w.table.Restore(epoch, maps.Clone(w.saved))
	w.table.AwaitEnds(w.once)
	w.opened, w.attached = w.now.Wall, w.now.Wall+int64(w.rand.IntN(5))*int64(time.Second)
}

// Export notes what is exported before it does that.
func (w *world) Export(p *Pair) {
	w.keep()
	w.harness.Export(p)
}

func (w *world) keep() {
	for _, s := range w.table.NewCheckpoints() {
		w.saved[s.Key] = s
	}
}

// restart ends the program, in order or by SIGKILL, and starts it again. In between
// connections come and move.
func (w *world) restart() {
	if w.rand.IntN(2) == 0 {
		if w.rand.IntN(2) == 0 { // else the last dump fails
			w.disturb()
		}
		w.table.Flush(w.now)
		w.saved = kept(slices.Collect(w.table.Checkpoints())...)
	}
	for range w.rand.IntN(5) {
		w.pass(time.Second)
		w.create()
		w.move(w.living[w.rand.IntN(len(w.living))])
	}
	if w.filtered != nil && w.rand.IntN(2) == 0 {
		w.begin(w.filter())
		return
	}
	w.begin(w.table.options)
}

// filter returns the options with another filter: it excludes each fourth connection, or none.
func (w *world) filter() Options {
	o, which := w.table.options, uint32(w.rand.IntN(6))
	o.Exclude = func(e *conntrack.Event) bool {
		out := e.Mark%4 == which
		if out {
			w.filtered[e.Mark] = true
		}
		return out
	}
	return o
}

func (w *world) step() {
	w.pass(time.Duration(w.rand.IntN(1500)) * time.Millisecond)
	switch n := w.rand.IntN(10); {
	case w.rand.IntN(50) == 0:
		w.restart()
	case n < 3:
		w.create()
	case n < 7 && len(w.living) > 0:
		w.move(w.living[w.rand.IntN(len(w.living))])
	case w.rand.IntN(8) == 0 && len(w.dying) > 0:
		w.free(w.rand.IntN(len(w.dying)))
	case n == 7 && len(w.living) > 0:
		w.finish(w.rand.IntN(len(w.living)))
	case w.rand.IntN(300) == 0:
		w.pass(time.Hour)
	case n == 8:
		w.dump(w.living...)
		if w.rand.IntN(3) == 0 {
			w.compact()
		}
	default:
		w.disturb()
	}
}

// create begins a connection; one in three takes the identity of an earlier one.
func (w *world) create() {
	e := w.entry([]uint8{conntrack.ProtoTCP, conntrack.ProtoUDP}[w.rand.IntN(2)])
	if w.rand.IntN(3) > 0 {
		w.id++
	}
	e.ID = w.id
	e.Zone, e.ReplyZone = uint16(w.rand.IntN(2)), uint16(w.rand.IntN(2))
	for _, other := range slices.Concat(w.living, w.dying) {
		if other.Key() == e.Key() {
			return // the same nanosecond: not even the kernel can
		}
	}
	e.Mark = uint32(len(w.movedBy))
	w.movedBy[e.Mark] = 0
	w.living = append(w.living, e)
}

func (w *world) move(e *conntrack.Event) {
	moves(e)
	w.moved += 1100
	w.movedBy[e.Mark] += 1100
}

// finish ends connection i, at times without a last packet, at times reported twice.
func (w *world) finish(i int) {
	e := w.living[i]
	w.living = append(w.living[:i], w.living[i+1:]...)
	if w.rand.IntN(2) == 0 {
		w.move(e)
	}
	if e.Orig.Proto == conntrack.ProtoTCP {
		e.State = conntrack.TCPTimeWait
	}
	if w.once {
		if e.Stop = w.now.Wall; w.byNetlink(e) {
			w.expire(e, e.Stop)
		}
		w.dying = append(w.dying, e)
		return
	}
	w.expire(e, w.now.Wall)
	if w.rand.IntN(4) == 0 {
		w.expire(e, w.now.Wall)
	}
	if w.rand.IntN(4) == 0 {
		w.live(e) // a chunk that was read into the socket before
	}
}

// byNetlink reports whether an entry ended before eBPF was attached.
func (w *world) byNetlink(e *conntrack.Event) bool {
	return e.Stop >= w.opened && e.Stop <= w.attached
}

// free reports the end of dying connection i, whose memory is freed.
func (w *world) free(i int) {
	e := w.dying[i]
	w.dying = append(w.dying[:i], w.dying[i+1:]...)
	e.Once = !w.byNetlink(e)
	w.expire(e, e.Stop)
	if w.rand.IntN(4) == 0 {
		w.live(e) // a part of a dump that was read before
	}
}

// disturb shows a part of the table, as a dump that fails does, or an entry twice.
func (w *world) disturb() {
	for _, e := range w.living[:w.rand.IntN(len(w.living)+1)] {
		w.live(e)
	}
}

// compact gives back all memory that the table doesn't need, as shrink does at times.
func (w *world) compact() {
	w.table.index.compact()
	for _, set := range w.table.hashSets() {
		set.compact()
	}
}

func (w *world) end() {
	w.dump(w.living...)
	for len(w.living) > 0 {
		w.finish(0)
	}
	for len(w.dying) > 0 {
		w.free(0)
	}
}
