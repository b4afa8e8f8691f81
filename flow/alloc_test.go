package flow

import (
	"runtime"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

type discard struct{}

func (discard) Export(*Pair) {}

func (discard) Flush(conntrack.Timestamp) {}

// steady returns a table of n flows and their entries.
func steady(n int) (*Table, []conntrack.Event) {
	now := conntrack.Timestamp{Mono: 1, Wall: epoch}
	o := testOptions()
	o.Routes = &fakeRoutes{path: outward()}
	t := NewTable(o, testTimeouts(), discard{}, now)
	t.EndDump(now)
	entries := make([]conntrack.Event, n)
	for i := range entries {
		entries[i] = conntrack.Event{
			Type: conntrack.Dump, At: now, ID: uint32(i), Counted: true, Start: now.Wall,
			Orig:  tuple(conntrack.ProtoUDP, "192.168.77.10:1024", "198.51.100.20:443"),
			Reply: tuple(conntrack.ProtoUDP, "198.51.100.20:443", "192.168.77.10:1024"),
		}
		t.Apply(&entries[i])
	}
	return t, entries
}

// What is left out costs no allocation either, once its memory has found its size.
func TestExcludedAllocateNothing(t *testing.T) {
	table, entries := steady(1000)
	o := testOptions()
	o.Exclude = func(e *conntrack.Event) bool { return e.ID%2 == 0 }
	table.Reconfigure(o)
	for range 3 {
		dumpAll(table, entries, 10*time.Second)
	}
	if n := testing.AllocsPerRun(20, func() { dumpAll(table, entries, 10*time.Second) }); n != 0 {
		t.Errorf("%v allocations per dump of 1000 entries", n)
	}
	if n := table.Stats.Flows.Load(); n != 500 {
		t.Errorf("%d flows", n)
	}
}

// dumpAll moves all entries and shows them once, dt later.
func dumpAll(t *Table, entries []conntrack.Event, dt time.Duration) {
	for i := range entries {
		e := &entries[i]
		e.At.Mono += int64(dt)
		e.At.Wall += int64(dt)
		moves(e)
		t.Apply(e)
	}
	t.EndDump(entries[0].At)
}

func TestDumpsAndEndsAllocateNothing(t *testing.T) {
	table, entries := steady(1000)
	if n := testing.AllocsPerRun(20, func() { dumpAll(table, entries, 10*time.Second) }); n != 0 {
		t.Errorf("%v allocations per dump of 1000 entries", n)
	}
	e := new(conntrack.Event)
	round := func() {
		for i := range entries {
			*e = entries[i]
			e.Type, e.Stop = conntrack.Destroy, e.At.Wall
			table.Apply(e)
			entries[i].Start++
			entries[i].Counters = [2]conntrack.Counters{}
		}
		dumpAll(table, entries, 10*time.Second)
	}
	for range 5 {
		round() // until the maps have found their size
	}
	if n := testing.AllocsPerRun(20, round); n > 10 {
		// A map reorganises itself now and then.
		t.Errorf("%v allocations per 1000 ends and beginnings", n)
	}
}

func BenchmarkApplyLive(b *testing.B) {
	table, entries := steady(100_000)
	b.ReportAllocs()
	for b.Loop() {
		dumpAll(table, entries, 10*time.Second)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/entry")
}

// TestMemoryPerFlow: all in, a flow takes at most 272 B, of which 24 are for devices.
func TestMemoryPerFlow(t *testing.T) {
	const flows, most = 250_000, 272
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	table := NewTable(testOptions(), testTimeouts(), discard{},
		conntrack.Timestamp{Mono: 1, Wall: epoch})
	e := conntrack.Event{Type: conntrack.Dump, Counted: true,
		Orig: tuple(conntrack.ProtoUDP, "192.0.2.1:1", "192.0.2.2:2")}
	for i := range flows {
		e.ID = uint32(i)
		table.Apply(&e)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := table.Stats.Flows.Load(); n != flows {
		t.Fatalf("%d flows", n)
	}
	perFlow := (after.HeapAlloc - before.HeapAlloc) / flows
	t.Logf("%d B per flow", perFlow)
	if perFlow > most {
		t.Errorf("%d B per flow, want at most %d", perFlow, most)
	}
}
