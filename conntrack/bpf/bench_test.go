//go:build amd64 || arm64 || riscv64

package bpf

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/measure"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

// BenchmarkRealDump reads living entries by a walk and by netlink's dump, of tables with few and with
// many of them. CPU/entry and CPU/bucket are of kernel and program: the second of an empty table.
func BenchmarkRealDump(b *testing.B) {
	w := newWalker(b, nil)
	buckets := tableSize()
	// Netlink would read a sparse table in another way.
	w.events.Dial = nil
	filled := 0
	for _, entries := range []int{0, 100, 2000, 20_000} {
		w.must(w.Router.Fill(filled, entries-filled))
		filled = entries
		for name, dump := range map[string]func(func(*conntrack.Event)) error{
			"walk": w.source.Dump, "netlink": w.events.Dump,
		} {
			b.Run(fmt.Sprintf("%s/%d", name, entries), func(b *testing.B) {
				b.ReportAllocs()
				w.inside(func() error {
					seen, began := 0, kernel.ThreadCPU()
					count := func(e *conntrack.Event) {
						if e.Type == conntrack.Dump {
							seen++
						}
					}
					for b.Loop() {
						w.must(dump(count))
					}
					cpu := kernel.ThreadCPU() - began
					if err := w.source.WalkError(); err != nil {
						b.Fatal(err)
					}
					if seen != entries*b.N {
						b.Errorf("%d entries shown", seen/b.N)
					}
					of, unit := buckets, "ns-CPU/bucket"
					if entries > 0 {
						of, unit = entries, "ns-CPU/entry"
					}
					b.ReportMetric(float64(cpu/time.Nanosecond)/float64(b.N)/float64(of), unit)
					return nil
				})
			})
		}
	}
}

// BenchmarkRealAttach loads and tests the programs of a walk, and that of ends without attaching
// it: what it costs at the start.
func BenchmarkRealAttach(b *testing.B) {
	for b.Loop() {
		newWalker(b, nil).source.closeEnds()
	}
}

// BenchmarkRealStalls reports the longest time for which a thread that goes before all others has
// waited while living entries were read on its core: by nobody, by netlink, by a walk.
func BenchmarkRealStalls(b *testing.B) {
	w := newWalker(b, nil)
	nothing := func(func(*conntrack.Event)) error { time.Sleep(10 * time.Millisecond); return nil }
	filled := 0
	for _, entries := range []int{0, 100, 2000, 20_000} {
		w.must(w.Router.Fill(filled, entries-filled))
		filled = entries
		for _, source := range []struct {
			name string
			dump func(func(*conntrack.Event)) error
		}{{"nobody", nothing}, {"netlink", w.events.Dump}, {"walk", w.source.Dump}} {
			b.Run(fmt.Sprintf("%s/%d", source.name, entries), func(b *testing.B) {
				w.inside(func() error { return stall(b, source.dump) })
			})
		}
	}
	b.Logf("%d buckets", tableSize())
}

// stall reads on the last core that it may use.
func stall(b *testing.B, dump func(func(*conntrack.Event)) error) error {
	var all, last unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return err
	}
	core := 0
	for i := range 1024 {
		if all.IsSet(i) {
			core = i
		}
	}
	last.Set(core)
	if err := unix.SchedSetaffinity(0, &last); err != nil {
		return err
	}
	defer unix.SchedSetaffinity(0, &all) //nolint:errcheck // the thread is the test's
	stalls, err := measure.StartStalls(core)
	if err != nil {
		return err
	}
	for b.Loop() {
		if err := dump(func(*conntrack.Event) {}); err != nil {
			return err
		}
	}
	b.ReportMetric(float64(stalls.Stop())/float64(time.Millisecond), "ms-stall")
	return nil
}
