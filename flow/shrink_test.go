package flow

import (
	"runtime"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// heap returns how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// crowd is many connections with no memory of their own.
type crowd struct {
	table *Table
	now   conntrack.Timestamp
	e     conntrack.Event
}

func newCrowd() *crowd {
	c := &crowd{now: conntrack.Timestamp{Mono: int64(time.Hour), Wall: epoch}}
	o := testOptions()
	o.Exclude = func(e *conntrack.Event) bool { return e.Mark != 0 }
	c.table = NewTable(o, testTimeouts(), discard{}, c.now)
	c.table.Restore(epoch, nil) // with a state file
	c.dump(0, 0)
	return c
}

// entry is number i of the crowd; what has a mark is left out.
func (c *crowd) entry(i int, mark uint32) *conntrack.Event {
	c.e = conntrack.Event{
		Type: conntrack.Dump, At: c.now, ID: uint32(i), Mark: mark, Counted: true,
		Start:    epoch + int64(i),
		Orig:     tuple(conntrack.ProtoUDP, "192.0.2.1:1", "198.51.100.1:1"),
		Reply:    tuple(conntrack.ProtoUDP, "198.51.100.1:1", "192.0.2.1:1"),
		Counters: [2]conntrack.Counters{{Packets: uint64(c.now.Mono), Bytes: uint64(c.now.Mono)}},
	}
	return &c.e
}

// dump shows the first n entries that count and as many that are excluded, ten
// seconds later.
func (c *crowd) dump(n, leftOut int) {
	c.now.Mono += int64(10 * time.Second)
	c.now.Wall += int64(10 * time.Second)
	for i := range n {
		c.table.Apply(c.entry(i, 0))
	}
	for i := range leftOut {
		c.table.Apply(c.entry(i+1<<24, 1))
	}
	c.table.EndDump(c.now)
	c.table.NewCheckpoints()
}

// end ends the entries from one to below another.
func (c *crowd) end(from, to int) {
	for i := from; i < to; i++ {
		e := c.entry(i, 0)
		e.Type, e.Stop = conntrack.Destroy, c.now.Wall
		c.table.Apply(e)
		c.table.NewCheckpoints()
	}
}

// TestMemoryIsGivenBack creates and ends 200,000 connections, with or without DESTROY events,
// and as many excluded ones: ten minutes later at most 1.5 times as much memory is in use as
// before, and nothing more is allocated.
func TestMemoryIsGivenBack(t *testing.T) {
	const few, many = 1000, 200_000
	for _, lost := range []bool{false, true} {
		before := heap()
		c := newCrowd()
		for range 3 {
			c.dump(few, few)
		}
		start := heap() - before
		for range 3 {
			c.dump(many, many)
		}
		full := heap() - before
		if !lost {
			c.end(few, many)
		}
		gone := c.now.Mono
		for c.now.Mono < gone+int64(10*time.Minute) {
			c.dump(few, few)
		}
		after := heap() - before
		t.Logf("events lost %t: %d kB at the start, %d kB full, %d kB after", lost, start>>10,
			full>>10, after>>10)
		if n := c.table.Stats.Flows.Load(); n != few {
			t.Errorf("%d flows", n)
		}
		if full < 20*start || after > start*3/2 {
			t.Errorf("events lost %t: %d B at the start, %d B full, %d B after", lost, start, full,
				after)
		}
		if n := testing.AllocsPerRun(100, func() { c.dump(few, few) }); n != 0 {
			t.Errorf("%v allocations per dump", n)
		}
	}
}

// TestTableInUseKeepsItsMemory: a table that is in use keeps its room, however few flows there are
// between two rushes.
func TestTableInUseKeepsItsMemory(t *testing.T) {
	c := newCrowd()
	for range 20 {
		c.dump(10_000, 0)
		c.end(10, 10_000)
		for range 11 { // two minutes
			c.dump(10, 0)
		}
		if room := len(c.table.index.chunks) * chunkSize; room < 10_000 {
			t.Fatalf("room for %d", room)
		}
	}
}

// TestCompactKeepsEntriesAndOrder keeps every entry, its place in the order of dumps and
// nothing else.
func TestCompactKeepsEntriesAndOrder(t *testing.T) {
	c := newCrowd()
	for range 3 {
		c.dump(5000, 0)
	}
	c.end(0, 4000)
	c.table.index.compact()
	x := &c.table.index
	if chunks := (1000 + chunkSize - 1) / chunkSize; x.len() != 1000 ||
		len(x.chunks) != chunks || len(x.slots) != 2048 || len(x.free) != 0 {
		t.Errorf("%d entries, %d chunks, %d slots, %d free", x.len(), len(x.chunks), len(x.slots),
			len(x.free))
	}
	for i := 4000; i < 5000; i++ {
		key := c.entry(i, 0).Key()
		if at := x.find(&key, x.hash(&key)); at != place(i-4000) {
			t.Fatalf("entry %d is at place %d", i, at)
		}
	}
	c.dump(0, 0)
	for i := 4000; i < 5000; i++ {
		c.table.Apply(c.entry(i, 0))
	}
	if x.jumps > 1 { // to the first
		t.Errorf("%d jumps: the order is lost", x.jumps)
	}
}

// BenchmarkCompact measures giving back the memory of 200,000 flows of which 20,000 are left.
func BenchmarkCompact(b *testing.B) {
	const few, many = 20_000, 200_000
	for b.Loop() {
		b.StopTimer()
		c := newCrowd()
		c.dump(many, 0)
		for i := range many { // what stays is all over the table
			if i%(many/few) != 0 {
				c.end(i, i+1)
			}
		}
		b.StartTimer()
		c.table.index.compact()
	}
}

// TestRouteResolverGivesMemoryBack within ten minutes, which takes two calls: the first shows
// what was needed once, the second what was not needed since.
func TestRouteResolverGivesMemoryBack(t *testing.T) {
	c, routes := newCrowd(), &fakeRoutes{path: outward()}
	c.table.options.Routes = routes
	for range 60 {
		c.dump(1, 0)
	}
	if routes.shrunk != 2 {
		t.Errorf("shrunk %d times in ten minutes, want 2", routes.shrunk)
	}
}
