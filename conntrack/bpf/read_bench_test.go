//go:build amd64 || arm64 || riscv64

package bpf

import (
	"testing"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
)

// BenchmarkRead is of ends that are in the ring already: what reading and decoding them costs. An
// operation is one end.
func BenchmarkRead(b *testing.B) {
	fake := newFakeEnds(b)
	s := NewSource(conntracktest.New().Reader(), SourceOptions{BPF: true}, conntrack.SystemClock())
	s.ends = &fake.ends
	end := golden(b)["tcp4"]
	for range batch {
		fake.kernel.put(end.bytes(), 0)
	}
	n, left := 0, 0
	count := func(*conntrack.Event) { n++; left++ }
	b.ReportAllocs()
	for b.Loop() {
		if left == 0 {
			fake.kernel.consumer.Store(0) // to read the same again
			must(b, s.Wait(0, count))
		}
		left--
	}
	if n < b.N {
		b.Errorf("%d ends of %d", n, b.N)
	}
}
