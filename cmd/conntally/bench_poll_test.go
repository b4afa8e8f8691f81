package main

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

const (
	ours = iota // works of a contest
	null
)

// poller polls as `conntally run` does.
type poller struct {
	reader *ctnetlink.Reader
	table  *flow.Table
	clock  conntrack.Clock
	apply  func(*conntrack.Event)
}

func (f *filled) poller(b *testing.B) *poller {
	b.Helper()
	p := &poller{reader: f.open(b), table: newTable(b, nil, new(export.Exporter), f.clock),
		clock: f.clock}
	p.apply = p.table.Apply
	return p
}

func (p *poller) poll(b *testing.B) {
	must(b, p.reader.Dump(p.apply))
	p.table.EndDump(p.clock())
}

// meet shows the entries to the table in random order, as they arrive on a router: a dump has
// them in the order of their hashes.
func (p *poller) meet(b *testing.B) {
	var entries []conntrack.Event
	must(b, p.reader.Dump(func(e *conntrack.Event) { entries = append(entries, *e) }))
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(len(entries)) {
		p.apply(&entries[i])
	}
	p.table.EndDump(p.clock())
}

// polls returns polls of f's table that took turns with a null reader. No
// counter moves, so nothing is exported.
func (f *filled) polls(b *testing.B) *contest {
	b.Helper()
	locked(b)
	p, n := f.poller(b), f.null(b)
	defer p.reader.Close()
	defer n.close()
	c := newContest(work{run: func() { p.poll(b) }}, work{run: func() { must(b, n.dump()) }})
	p.meet(b)
	c.warm(2)
	for b.Loop() {
		c.round()
	}
	if flows := p.table.Stats.Flows.Load(); flows != int64(f.entries) {
		b.Fatalf("%d flows of %d entries", flows, f.entries)
	}
	return c
}

// BenchmarkPollAgainstNullReader measures what conntally adds to the kernel's own cost of a
// dump.
func BenchmarkPollAgainstNullReader(b *testing.B) {
	const entries = 100_000
	f := newFilled(b)
	f.grow(b, entries)
	c := f.polls(b)
	b.ReportMetric(c.ratio(ours, null), "cpu-ratio")
	b.ReportMetric(c.cpu(ours, entries), "ns/entry")
	b.ReportMetric(c.cpu(null, entries), "null-ns/entry")
	b.ReportMetric(c.cpu(ours, entries)-c.cpu(null, entries), "own-ns/entry")
	b.ReportMetric(c.user(ours, entries), "user-ns/entry")
	b.ReportMetric(c.user(null, entries), "null-user-ns/entry")
	b.ReportMetric(c.allocs(ours, entries), "allocs/entry")
	b.ReportMetric(0, "ns/op") // of a round
}

// BenchmarkPollScaling measures tables of growing size. Small ones cost more per entry: the
// kernel visits each hash bucket.
func BenchmarkPollScaling(b *testing.B) {
	f := newFilled(b)
	for _, entries := range [...]int{1000, 10_000, 100_000, 250_000} {
		b.Run(fmt.Sprintf("entries=%d", entries), func(b *testing.B) {
			f.grow(b, entries)
			c := f.polls(b)
			b.ReportMetric(c.cpu(ours, 1)/1e6, "ms/poll")
			b.ReportMetric(c.cpu(ours, entries), "ns/entry")
			b.ReportMetric(c.cpu(null, entries), "null-ns/entry")
			b.ReportMetric(c.ratio(ours, null), "cpu-ratio")
			b.ReportMetric(c.allocs(ours, entries), "allocs/entry")
			b.ReportMetric(0, "ns/op") // of a round
		})
	}
}
