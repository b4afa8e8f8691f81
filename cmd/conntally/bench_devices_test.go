package main

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/host"
)

// manyDevices is a Resolver and RouteResolver of a network of 256 hosts.
type manyDevices struct{}

// Path implements flow.RouteResolver.
func (manyDevices) Hop(index uint32) flow.Hop { return flow.NewHop(index, false) }

func (manyDevices) Path(*conntrack.Event) flow.Path {
	return flow.Path{flow.NewHop(2, false), flow.NewHop(3, true)}
}

// Shrink implements flow.RouteResolver.
func (manyDevices) Shrink() {}

// Version implements flow.RouteResolver.
func (manyDevices) Version() uint32 { return 1 }

// Changed implements flow.RouteResolver.
func (manyDevices) Changed(uint32, *conntrack.Event, flow.Path, flow.Path) (first, last int64) {
	return 0, 0
}

// Local implements account.Resolver.
func (manyDevices) Local(*conntrack.Addr) bool { return false }

// Broadcast implements account.Resolver.
func (manyDevices) Broadcast(*conntrack.Addr) bool { return false }

// Name implements account.Resolver.
func (manyDevices) Name(uint32) string { return "lan" }

// MAC implements account.Resolver.
func (manyDevices) MAC(a *conntrack.Addr, _ uint32, _ int64) host.MAC {
	return host.MAC{2, 0, 0, 0, 0, a[15]}
}

// BenchmarkPollWithDevices measures polls in which all connections have moved, with and
// without devices.
func BenchmarkPollWithDevices(b *testing.B) {
	const entries, with, without = 100_000, 0, 1
	f := newFilled(b)
	f.grow(b, entries)
	locked(b)
	var pollers [2]*poller
	for i := range pollers {
		options := flow.Options{Active: time.Hour, Idle: time.Hour, Routes: manyDevices{}}
		if i == with {
			options.Meter = account.New(account.Options{Devices: true, Max: 4096,
				Resolver: manyDevices{}})
		}
		p := &poller{reader: f.open(b), clock: f.clock}
		defer p.reader.Close()
		p.table = flow.NewTable(options, new(conntrack.Timeouts), new(export.Exporter), f.clock())
		rounds := uint64(0)
		p.apply = func(e *conntrack.Event) {
			for d := range e.Counters { // the lab's don't move
				e.Counters[d].Packets += rounds
				e.Counters[d].Bytes += 100 * rounds
			}
			p.table.Apply(e)
		}
		p.meet(b)
		end := p.clock
		p.clock = func() conntrack.Timestamp { rounds++; return end() } // read after each dump
		pollers[i] = p
	}
	c := newContest(work{run: func() { pollers[with].poll(b) }},
		work{run: func() { pollers[without].poll(b) }})
	c.warm(2)
	for b.Loop() {
		c.round()
	}
	b.ReportMetric(c.ratio(with, without), "cpu-ratio")
	b.ReportMetric(c.cpu(with, entries)-c.cpu(without, entries), "more-ns/entry")
	b.ReportMetric(c.allocs(with, entries), "allocs/entry")
	b.ReportMetric(0, "ns/op") // of a round
}
