package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// BenchmarkApplyResting is of a dump in which nothing has moved: what most of a
// router's connections do most of the time. BenchmarkApplyLive is its opposite.
func BenchmarkApplyResting(b *testing.B) {
	const n = 100_000
	table, entries := steady(n)
	b.ReportAllocs()
	for b.Loop() {
		for i := range entries {
			e := &entries[i]
			e.At.Mono += int64(10 * time.Second)
			e.At.Wall += int64(10 * time.Second)
			table.Apply(e)
		}
		table.EndDump(entries[0].At)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}

// BenchmarkApplyDestroyed is of ends: of connections that no dump has met, as most
// short ones are, and of others.
func BenchmarkApplyDestroyed(b *testing.B) {
	b.Run("unmet", func(b *testing.B) { benchmarkDestroyed(b, false) })
	b.Run("met", func(b *testing.B) { benchmarkDestroyed(b, true) })
}

func benchmarkDestroyed(b *testing.B, met bool) {
	const n = 10_000
	table, entries := steady(n)
	before := table.Stats.Records.Load()
	rounds := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		begin(table, entries, met)
		b.StartTimer()
		for i := range entries {
			table.Apply(&entries[i])
		}
		rounds++
	}
	if got := table.Stats.Records.Load() - before; got < rounds*n {
		b.Fatalf("%d records of %d ends", got, rounds*n)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/end")
}

// begin makes new connections of the entries, which end now, and shows them to the
// table before, or not.
func begin(table *Table, entries []conntrack.Event, meet bool) {
	for i := range entries {
		e := &entries[i]
		e.At.Mono += int64(10 * time.Second)
		e.At.Wall += int64(10 * time.Second)
		e.Start, e.Stop, e.Type = e.At.Wall, 0, conntrack.Dump
		e.Counters = [2]conntrack.Counters{}
		if meet {
			table.Apply(e)
		}
		moves(e)
		e.Type, e.Stop = conntrack.Destroy, e.At.Wall
	}
	table.EndDump(entries[0].At)
}
