package state

import (
	"slices"
	"testing"
)

const many = 250_000

func perEntry(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
}

func BenchmarkAppend(b *testing.B) {
	f, _ := start(b, fileName(b))
	all := saved(0, many)
	b.ReportAllocs()
	for b.Loop() {
		must(b, f.Append(all))
		b.StopTimer()
		must(b, f.Replace(slices.Values(all[:0])))
		b.StartTimer()
	}
	perEntry(b, many)
}

func BenchmarkReplace(b *testing.B) {
	f, _ := start(b, fileName(b))
	all := saved(0, many)
	b.ReportAllocs()
	for b.Loop() {
		must(b, f.Replace(slices.Values(all)))
	}
	perEntry(b, many)
}

func BenchmarkOpen(b *testing.B) {
	path, _ := kept(b, saved(0, many))
	b.ReportAllocs()
	for b.Loop() {
		f, r, err := Open(path, here, began)
		must(b, err)
		must(b, f.Close())
		if len(r.Checkpoints) != many {
			b.Fatal(len(r.Checkpoints))
		}
	}
	perEntry(b, many)
}
