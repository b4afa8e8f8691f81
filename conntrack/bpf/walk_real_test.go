//go:build amd64 || arm64 || riscv64

package bpf

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/mdlayher/netlink"
	timo "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

// eachWalk runs a test with each program that walks and that this kernel allows.
func eachWalk(t *testing.T, sysctls map[string]string, test func(t *testing.T, w *twin)) {
	for _, step := range []Step{Fentry, FentryCopy} {
		t.Run(step.walk(), func(t *testing.T) { test(t, newWalker(t, step, sysctls)) })
	}
}

// newWalker returns a router whose table a Source walks over, as on a step. The program for ends is
// loaded, not attached: that takes what not every kernel that can walk has.
func newWalker(t testing.TB, step Step, sysctls map[string]string) *twin {
	t.Helper()
	w := newRouter(t, sysctls)
	w.source = NewSource(w.reader(1<<20), SourceOptions{BPF: true}, conntrack.SystemClock())
	l := &loaded{}
	t.Cleanup(l.close)
	e := newFakeEnds(t)
	var err error
	w.inside(func() error {
		netns, failed := ownNamespace()
		w.must(failed)
		if err = l.load(btf.NewCache(), Kprobe, netns, sizesFor(0, 0)); err == nil {
			e.walk, err = l.loadWalk(step)
		}
		return nil
	})
	switch { // Linux 6.1 can't read in place
	case err != nil && needBPF() && (step != Fentry || !errors.Is(err, ebpf.ErrNotSupported)):
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
	w.source.ends = &e.ends
	return w
}

// inside calls f in the router's network namespace.
func (w *twin) inside(f func() error) {
	w.t.Helper()
	w.must(w.Router.Do(f))
}

type entries map[conntrack.Key]conntrack.Event

// living returns the living entries that a dump shows, and fails if it shows one twice.
func (w *twin) living(dump func(func(*conntrack.Event)) error) entries {
	w.t.Helper()
	all := entries{}
	w.inside(func() error {
		return dump(func(e *conntrack.Event) {
			if e.Type != conntrack.Dump {
				return
			}
			e.ID = idOf(e)
			if _, again := all[e.Key()]; again {
				w.t.Errorf("twice: %+v", e)
			}
			all[e.Key()] = *e
		})
	})
	w.must(w.source.WalkError())
	return all
}

// sameLiving requires a walk to show what netlink's dumps before and after it do, of entries that
// nobody changes: at least n.
func (w *twin) sameLiving(n int) {
	w.t.Helper()
	before := w.living(w.events.Dump)
	walk := w.living(w.source.Dump)
	after := w.living(w.events.Dump)
	wrong := 0
	for key, want := range before {
		got, found := walk[key]
		if !found {
			w.t.Errorf("missing: %+v", want)
			continue
		}
		if left := got.Timeout; left > want.Timeout || left < after[key].Timeout {
			w.t.Errorf("timeout %d, before %d, after %d", left, want.Timeout, after[key].Timeout)
		}
		want.At, want.Timeout = got.At, got.Timeout
		if got != want {
			if wrong++; wrong < 5 {
				w.t.Errorf("\nwalk    %+v\nnetlink %+v", got, want)
			}
		}
	}
	if len(walk) != len(before) || len(walk) < n || wrong != 0 {
		w.t.Errorf("a walk shows %d entries, netlink %d, want %d; %d differ", len(walk),
			len(before), n, wrong)
	}
}

// TestRealWalkEqualsDump: of entries of each protocol, with NAT, zones and marks.
func TestRealWalkEqualsDump(t *testing.T) {
	eachWalk(t, nil, func(_ *testing.T, w *twin) {
		labtest.EachKind(w.ctx, w.t, w.Lab)
		w.sameLiving(12 + w.invent())
	})
}

// TestRealWalkWithoutExtensions: of entries without counters and time stamps.
func TestRealWalkWithoutExtensions(t *testing.T) {
	eachWalk(t, map[string]string{"acct": "0", "timestamp": "0"}, func(_ *testing.T, w *twin) {
		labtest.EachKind(w.ctx, w.t, w.Lab)
		w.sameLiving(12 + w.invent())
	})
}

// TestRealWalkOfEmptyTable: of this network namespace. Another's entries are not shown.
func TestRealWalkOfEmptyTable(t *testing.T) {
	eachWalk(t, nil, func(_ *testing.T, w *twin) {
		other, err := lab.New(lab.Options{})
		w.must(err)
		defer other.Close()
		w.must(other.Router.Fill(0, 3000))
		w.sameLiving(0)
	})
}

// TestRealTableIsFoundEachTime: in the same place, whatever bucket the marker is in. What refers to
// its node is another node, its own of the reply direction, which may look like a table.
func TestRealTableIsFoundEachTime(t *testing.T) {
	const markers = 5000
	eachWalk(t, nil, func(t *testing.T, w *twin) {
		walk, places := w.source.ends.walk, map[uint64]int{}
		w.inside(func() error {
			for range markers {
				m, err := kernel.OpenMarker()
				if err != nil {
					return err
				}
				walk.marker, walk.address = m, m.Addr().As4()
				if err := walk.begin(tableSize()); err != nil {
					return err
				}
				places[walk.table]++
				if err := errors.Join(m.Delete(), m.Close()); err != nil {
					return err
				}
			}
			return nil
		})
		if len(places) != 1 {
			t.Errorf("tables found, and how often: %#x", places)
		}
	})
}

// randomFlow returns an entry of any protocol, with any zones, mark and status.
func randomFlow(r *rand.Rand) timo.Flow {
	protos := []uint8{conntrack.ProtoTCP, conntrack.ProtoUDP, conntrack.ProtoSCTP,
		conntrack.ProtoGRE, conntrack.ProtoUDPLite, 99, 200}
	addr := func(base string) netip.Addr {
		b := netip.MustParseAddr(base).AsSlice()
		b[len(b)-2], b[len(b)-1] = byte(r.Uint32()), byte(r.Uint32())
		a, _ := netip.AddrFromSlice(b)
		return a
	}
	from, to := "192.0.2.0", "198.51.100.0"
	if r.IntN(2) == 0 {
		from, to = "2001:db8::", "2001:db8:1::"
	}
	status := timo.StatusConfirmed
	if r.IntN(2) == 0 {
		status |= timo.StatusSeenReply | timo.StatusAssured
	}
	f := timo.NewFlow(protos[r.IntN(len(protos))], status, addr(from), addr(to),
		uint16(r.Uint32()), uint16(r.Uint32()), 100+r.Uint32N(1<<20), r.Uint32())
	switch r.IntN(4) {
	case 0:
		f.Zone = uint16(r.Uint32())
	case 1:
		f.TupleOrig.Zone = uint16(r.Uint32())
	case 2:
		f.TupleReply.Zone = uint16(r.Uint32())
	}
	if f.TupleOrig.Proto.Protocol == conntrack.ProtoTCP {
		f.ProtoInfo.TCP = &timo.ProtoInfoTCP{State: uint8(1 + r.IntN(8)),
			OriginalFlags: uint16(r.Uint32N(64) << 8), ReplyFlags: uint16(r.Uint32N(64) << 8)}
	}
	return f
}

// TestRealWalkEqualsDumpOfAnything: of many entries with random properties.
func TestRealWalkEqualsDumpOfAnything(t *testing.T) {
	eachWalk(t, nil, func(t *testing.T, w *twin) {
		r := rand.New(rand.NewPCG(1, 2))
		n := 0
		for range 2000 {
			switch err := w.oracle.Create(randomFlow(r)); {
			case err == nil:
				n++
			case !errors.Is(err, unix.EEXIST):
				t.Fatal(err)
			}
		}
		w.sameLiving(n)
		t.Log(n, "entries")
	})
}

// TestRealWalkDuringChurn: entries that live throughout are shown once by each walk while many
// others begin and end beside them.
func TestRealWalkDuringChurn(t *testing.T) {
	const stable = 5000
	eachWalk(t, nil, func(t *testing.T, w *twin) {
		w.must(w.Router.Fill(0, stable))
		want := w.living(w.events.Dump)
		ctx, stop := context.WithCancel(w.ctx)
		var workers sync.WaitGroup
		defer workers.Wait()
		defer stop()
		for worker := range 2 {
			workers.Go(func() { w.churn(ctx, uint64(worker)) })
		}
		short := 0
		for range 50 {
			for key := range w.living(w.source.Dump) {
				if _, is := want[key]; !is {
					short++
				}
			}
			got := w.living(w.source.Dump)
			for key := range want {
				if _, found := got[key]; !found {
					t.Errorf("missing: %+v", key)
				}
			}
		}
		t.Logf("%d short ones shown, %d torn", short, w.source.ends.walk.torn)
	})
}

// churn creates and deletes entries until ctx is done: again and again the same addresses, so that
// chains are used again.
func (w *twin) churn(ctx context.Context, seed uint64) {
	conn, err := timo.Dial(&netlink.Config{NetNS: w.Router.FD()})
	if err != nil {
		w.t.Error(err)
		return
	}
	defer conn.Close()
	r := rand.New(rand.NewPCG(seed, 0))
	var all [100]timo.Flow
	for ctx.Err() == nil {
		for i := range all {
			all[i] = randomFlow(r)
			all[i].Zone, all[i].TupleOrig.Zone, all[i].TupleReply.Zone = 0, 0, 0
			_ = conn.Create(all[i]) // it may be there
		}
		for i := range all {
			_ = conn.Delete(all[i])
		}
	}
}

// TestRealWalkNoticesResize: of the table, to another size and back to the same. That changes the
// whole machine's table, so it is for a guest.
func TestRealWalkNoticesResize(t *testing.T) {
	if os.Getenv("CONNTALLY_GUEST") == "" {
		t.Skip("for a virtual machine: CONNTALLY_GUEST=1")
	}
	const entries = 3000
	eachWalk(t, nil, func(t *testing.T, w *twin) {
		w.must(w.Router.Fill(0, entries))
		size, err := kernel.ReadSysctl("buckets")
		w.must(err)
		for name, sizes := range map[string][]int{
			"larger": {2 * size}, "smaller": {size / 2}, "and back": {2 * size, size},
			"twice back": {size / 2, size, 2 * size, size},
		} {
			t.Run(name, func(t *testing.T) {
				runs := 0
				w.source.OnChunk = func() {
					if runs++; runs != 1 {
						return
					}
					resize(t, sizes...)
				}
				var err error
				shown := map[conntrack.Key]int{}
				w.inside(func() error {
					err = w.source.Dump(func(e *conntrack.Event) { shown[e.Key()]++ })
					return nil
				})
				// The kernel may have given it the same memory again: then nothing has moved.
				whole := err == nil && sizes[len(sizes)-1] == size && len(shown) == entries &&
					!slices.ContainsFunc(slices.Collect(maps.Values(shown)),
						func(n int) bool { return n != 1 })
				if !errors.Is(err, conntrack.ErrPartial) && !whole {
					t.Errorf("%v, %d runs, %d entries", err, runs, len(shown))
				}
				w.sameLiving(entries)
				resize(t, size)
			})
		}
	})
}

// resize gives the kernel's table those sizes, one after the other, from a thread that is in the
// machine's own network namespace.
func resize(t *testing.T, sizes ...int) {
	var all sync.WaitGroup
	all.Go(func() {
		for _, n := range sizes {
			if _, err := lab.Resize(n); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
}
