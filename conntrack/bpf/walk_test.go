//go:build amd64 || arm64 || riscv64

package bpf

import (
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// fakeTable is a kernel's table that a fake program walks over: each run leaves a batch of records.
type fakeTable struct {
	walk
	batches [][]record
	runs    int // of this walk

	size       int
	at         uint64 // where the table is
	place      uint32 // the marker's bucket
	inserted   int    // markers
	met        uint32 // how often a walk meets the marker
	insertFail error
	findFail   error
	runFail    error
	stop       uint32 // why each run stops
	onRun      func()
}

func (f *fakeTable) Insert() error {
	if f.insertFail != nil {
		return f.insertFail
	}
	f.inserted++
	f.runs = 0
	return nil
}

func (f *fakeTable) Delete() error { f.inserted--; return nil }
func (f *fakeTable) Close() error  { return nil }

func newFakeTable(batches ...[]record) *fakeTable {
	f := &fakeTable{batches: batches, size: 1024, at: 0x1000, place: 70, met: 1}
	f.walk = walk{
		sharedWalk: &sharedWalk{}, records: make([]record, walkRoom), marker: f,
		buckets: func() int { return f.size }, grace: 25,
	}
	f.find = func() error {
		f.sharedWalk.marker, f.table, f.bucket = uint64(f.inserted), f.at, f.place
		return f.findFail
	}
	f.run = func() error {
		if f.onRun != nil {
			f.onRun()
		}
		f.written = uint32(copy(f.records, f.batches[f.runs]))
		if f.runs++; f.runs == len(f.batches) {
			f.next, f.marked = f.until, f.met
		}
		f.stopped = f.stop
		return f.runFail
	}
	return f
}

// walkRig is a rig whose source walks.
func walkRig(t *testing.T, batches ...[]record) (*rig, *fakeTable) {
	r, f := newRig(t), newFakeTable(batches...)
	r.fake.walk = &f.walk
	must(t, r.Attach(r.note))
	r.seen = nil
	return r, f
}

func withFlags(r record, flags uint32) record {
	r.flags |= flags
	return r
}

// one is a batch of a single record.
func one(t *testing.T, name string) []record { return []record{golden(t)[name]} }

// TestWalkedEventsAreLikeADumps: living entries, and expired ones, which a dump would evict.
func TestWalkedEventsAreLikeADumps(t *testing.T) {
	tcp, udp := golden(t)["tcp4"], golden(t)["udp6"]
	tcp.event.TCPFlags = [2]conntrack.TCPFlags{0x23, 0x0a}
	offloaded := tcp
	offloaded.event.Status = conntrack.Offload
	expired := withFlags(udp, flagExpired)
	const began = 1000 // jiffies
	expired.now, expired.timeout = began, began-3*uint32(jiffies())
	r, f := walkRig(t, []record{tcp}, []record{offloaded, expired, withFlags(expired, flagShown)})
	f.began, f.beganMono = began, uint64(r.k.Clock()().Mono-int64(time.Minute))
	must(t, r.Dump(r.note))
	if len(r.seen) != 3 {
		t.Fatalf("%+v", r.seen)
	}
	living, offload, end := r.seen[0], r.seen[1], r.seen[2]
	if living.Type != conntrack.Dump || !living.HasTimeout || living.State != 3 ||
		living.TCPFlags != [2]conntrack.TCPFlags{0x23, 0x0a} || living.ID != idOf(&living) {
		t.Errorf("%+v", living)
	}
	if offload.Type != conntrack.Dump || offload.HasTimeout || offload.State != 0 ||
		offload.TCPFlags != [2]conntrack.TCPFlags{} {
		t.Errorf("%+v", offload)
	}
	if end.Type != conntrack.Destroy || end.HasTimeout || end.Status&conntrack.Dying == 0 ||
		end.At.Wall-end.Stop != int64(time.Minute+3*time.Second) {
		t.Errorf("%+v", end)
	}
	stats := &r.Stats
	if stats.Entries.Load() != 2 || stats.Destroys.Load() != 1 || stats.Dumps.Load() != 1 {
		t.Errorf("%d entries, %d ends, %d dumps", stats.Entries.Load(), stats.Destroys.Load(),
			stats.Dumps.Load())
	}
}

// TestExpiredWithoutStartHasNoStop: as an entry without time stamps.
func TestExpiredWithoutStartHasNoStop(t *testing.T) {
	b := withFlags(golden(t)["udp6"], flagExpired)
	b.event.Start = 0
	r, _ := walkRig(t, []record{b})
	must(t, r.Dump(r.note))
	if len(r.seen) != 1 || r.seen[0].Stop != 0 {
		t.Errorf("%+v", r.seen)
	}
}

// TestResizedTableIsPartial: what a walk over a table that is given up has shown is not all.
func TestResizedTableIsPartial(t *testing.T) {
	for name, resize := range map[string]func(*fakeTable){
		"moved":           func(f *fakeTable) { f.at += 0x1000 },
		"larger":          func(f *fakeTable) { f.at, f.place = f.at+0x1000, 1500 },
		"size":            func(f *fakeTable) { f.size *= 2 },
		"flushed":         func(f *fakeTable) { f.inserted = 0 },
		"another's heads": func(f *fakeTable) { f.stop = stoppedMoved },
	} {
		t.Run(name, func(t *testing.T) {
			r, f := walkRig(t, one(t, "tcp4"), one(t, "tcp4"))
			f.onRun = func() {
				if f.runs == 1 {
					resize(f)
				}
			}
			if err := r.Dump(r.note); !errors.Is(err, conntrack.ErrPartial) {
				t.Fatal(err)
			}
			if len(r.seen) != 2 || r.WalkError() != nil || r.Stats.Dumps.Load() != 0 {
				t.Errorf("%d events, %v", len(r.seen), r.WalkError())
			}
			f.onRun, f.stop, f.inserted, f.place = nil, 0, 0, 70
			must(t, r.Dump(r.note))
		})
	}
}

// TestFailedWalkFallsBackToNetlink: for this dump, and the next is a walk again.
func TestFailedWalkFallsBackToNetlink(t *testing.T) {
	other := errors.New("other")
	for name, c := range map[string]struct {
		fail func(*fakeTable)
		want error
	}{
		"full":     {func(f *fakeTable) { f.insertFail = unix.ENOMEM }, unix.ENOMEM},
		"refused":  {func(f *fakeTable) { f.findFail = other }, other},
		"no table": {func(f *fakeTable) { f.at = 0 }, ErrNoTable},
		"no size":  {func(f *fakeTable) { f.size = 0 }, ErrNoTable},
		"odd size": {func(f *fakeTable) { f.size = 1000 }, ErrNoTable},
		"smaller":  {func(f *fakeTable) { f.size = 64 }, ErrNoTable},
		"rights":   {func(f *fakeTable) { f.runFail = unix.EPERM }, unix.EPERM},
		"chain":    {func(f *fakeTable) { f.stop = stoppedTooLong }, ErrTooLong},
		"churn":    {func(f *fakeTable) { f.stop = stoppedUnsettled }, ErrUnsteady},
		"missed":   {func(f *fakeTable) { f.met = 0 }, ErrMissed},
		"twice":    {func(f *fakeTable) { f.met = 2 }, ErrMissed},
	} {
		t.Run(name, func(t *testing.T) {
			r, f := walkRig(t, one(t, "tcp4"))
			r.k.Create(entry())
			good := *f
			c.fail(f)
			must(t, r.Dump(r.note))
			last := r.seen[len(r.seen)-1]
			if last.Orig != entry().Orig || last.Type != conntrack.Dump ||
				!errors.Is(r.WalkError(), c.want) || f.inserted != 0 {
				t.Errorf("%+v, %v, %d markers", last, r.WalkError(), f.inserted)
			}
			f.insertFail, f.findFail, f.runFail = nil, nil, nil
			f.at, f.size, f.stop, f.met = good.at, good.size, good.stop, good.met
			r.seen = nil
			must(t, r.Dump(r.note))
			if len(r.seen) != 1 || r.seen[0].Orig == last.Orig || r.WalkError() != nil {
				t.Errorf("then %+v, %v", r.seen, r.WalkError())
			}
		})
	}
}

// TestWalkReadsEndsBetweenRuns: the end of an entry comes after what the walk has shown of it.
func TestWalkReadsEndsBetweenRuns(t *testing.T) {
	r, f := walkRig(t, one(t, "tcp4"), one(t, "udp6"), one(t, "icmp6"))
	chunks := 0
	r.OnChunk = func() { chunks++ }
	f.onRun = func() {
		if f.runs == 0 {
			r.fake.put(t, "tcp4")
		}
	}
	must(t, r.Dump(r.note))
	if len(r.seen) != 4 || r.seen[0].Type != conntrack.Dump ||
		r.seen[1].Type != conntrack.Destroy || r.seen[0].Key() != r.seen[1].Key() || chunks != 3 {
		t.Errorf("%d chunks, %+v", chunks, r.seen)
	}
}

// TestTestWalkShowsNoEnd: the test covers the marker's part of the table, where nothing expires.
func TestTestWalkShowsNoEnd(t *testing.T) {
	f := newFakeTable(nil)
	f.onRun = func() {
		if f.next != 64 || f.until != 128 || f.sharedWalk.grace != never {
			t.Errorf("buckets %d to %d, grace %d", f.next, f.until, f.sharedWalk.grace)
		}
	}
	must(t, f.test())
	if f.inserted != 0 {
		t.Error("the marker is left")
	}
}

// TestWalkAllocatesNothingPerEntry: a walk of many entries as much as one of none.
func TestWalkAllocatesNothingPerEntry(t *testing.T) {
	full := slices.Repeat(one(t, "tcp4"), walkRoom)
	r, f := walkRig(t, full, full, full, full)
	n := 0
	count := func(*conntrack.Event) { n++ }
	if allocs := testing.AllocsPerRun(20, func() { must(t, r.Dump(count)) }); allocs > 5 ||
		n < 20*4*walkRoom {
		t.Errorf("%v allocations for %d entries", allocs, n)
	}
	f.written = 0
}
