//go:build amd64 || arm64 || riscv64

package bpf

import (
	"fmt"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

// BenchmarkRealDump reads living entries by a walk and by netlink's dump, of tables with few and with
// many of them. CPU/entry and CPU/bucket are of kernel and program: the second of an empty table.
func BenchmarkRealDump(b *testing.B) {
	for _, step := range []Step{Fentry, FentryCopy} {
		b.Run(step.walk(), func(b *testing.B) { benchmarkDumps(newWalker(b, step, nil), b) })
	}
}

func benchmarkDumps(w *twin, b *testing.B) {
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
		newWalker(b, FentryCopy, nil).source.closeEnds()
	}
}
