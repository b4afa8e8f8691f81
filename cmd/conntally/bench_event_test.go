package main

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/route"
)

const burst = 50_000 // events of one round

// encoding packs records as an export.Collector does, clock included, but sends
// no message.
type encoding struct {
	encoder *export.Encoder
	clock   conntrack.Clock
}

// Export implements flow.Sink.
func (e *encoding) Export(p *flow.Pair) {
	now := p.At()
	for d := range p {
		if r := &p[d]; r.Moved() && !e.encoder.Add(r, now.Wall) {
			e.encoder.Finish(now.Wall)
			e.encoder.Add(r, now.Wall)
		}
	}
}

// Flush implements flow.Sink.
func (e *encoding) Flush(conntrack.Timestamp) {}

// BenchmarkEventPath goes from a DESTROY datagram to its two encoded records (Encoder, no
// socket), with the clock of the system and with interfaces by the routes of this machine. The
// events come from the fake, whose own part, that of an empty reader, is measured too and
// subtracted. An entry is met if a dump has shown it before.
func BenchmarkEventPath(b *testing.B) {
	for _, protocol := range [...]export.Protocol{export.IPFIX, export.NetFlow9} {
		for _, met := range [...]bool{false, true} {
			b.Run(protocol.String()+"/"+metName(met),
				func(b *testing.B) { benchmarkEventPath(b, protocol, met) })
		}
	}
}

func metName(met bool) string {
	if met {
		return "met"
	}
	return "unmet"
}

func benchmarkEventPath(b *testing.B, protocol export.Protocol, met bool) {
	locked(b)
	p := newPath(b, protocol)
	c := newContest(
		work{before: func() { p.fresh(met); p.inject() }, run: func() { p.wait(p.apply) }},
		work{before: p.inject, run: func() { p.wait(func(*conntrack.Event) {}) }},
		work{before: p.inject, run: p.drain},
	)
	c.warm(5) // until the maps have found their size
	for b.Loop() {
		c.round()
	}
	if got := p.table.Stats.Records.Load(); got != p.want {
		b.Fatalf("%d records of %d", got, p.want)
	}
	whole, reader, fake := c.cpu(0, burst), c.cpu(1, burst), c.cpu(2, burst)
	b.ReportMetric(whole-fake, "ns/destroy")
	b.ReportMetric(reader-fake, "reader-ns/destroy")
	b.ReportMetric(fake, "fake-ns/destroy")
	b.ReportMetric(c.allocs(0, burst), "allocs/destroy")
	b.ReportMetric(0, "ns/op")
}

// path is the pipeline on the fake.
type path struct {
	b      *testing.B
	kernel *conntracktest.Kernel
	socket ctnetlink.Socket // of the events
	reader *ctnetlink.Reader
	table  *flow.Table
	apply  func(*conntrack.Event)
	clock  conntrack.Clock
	events []conntrack.Event // in the order of their ends
	want   uint64            // records
}

func newPath(b *testing.B, protocol export.Protocol) *path {
	p := &path{b: b, kernel: conntracktest.New(), clock: conntrack.SystemClock(), events: ends()}
	events, dumps := p.kernel.Sockets()
	p.socket, p.reader = events, ctnetlink.NewReader(events, dumps, p.clock)
	routes, err := route.Open(route.Options{Clock: p.clock})
	must(b, err)
	b.Cleanup(func() { must(b, routes.Close()) })
	p.table = newTable(b, routes,
		&encoding{export.NewEncoder(protocol, 1, export.DefaultMessageSize, export.RecordOptions{}),
			p.clock}, p.clock)
	p.apply = p.table.Apply
	p.table.EndDump(p.clock())
	return p
}

// ends returns connections that have moved in both directions, in no order.
func ends() []conntrack.Event {
	events := make([]conntrack.Event, burst)
	for i, n := range rand.New(rand.NewPCG(1, 2)).Perm(burst) {
		events[i] = connection(n)
	}
	return events
}

// connection is one of a LAN whose source is translated.
func connection(n int) conntrack.Event {
	var local, remote, router conntrack.Addr
	local, remote, router = v4(192, 168, 77, byte(n)), v4(198, 18, byte(n>>8), byte(n)),
		v4(198, 51, 100, 1)
	port := 1024 + uint16(n)
	e := conntrack.Event{
		ID: uint32(n), Counted: true,
		Status:   conntrack.SeenReply | conntrack.Assured | conntrack.SrcNAT,
		Orig:     conntrack.Tuple{Src: local, Dst: remote, SrcPort: port, DstPort: 443},
		Reply:    conntrack.Tuple{Src: remote, Dst: router, SrcPort: 443, DstPort: port},
		Counters: [2]conntrack.Counters{{Packets: 10, Bytes: 1500}, {Packets: 20, Bytes: 25000}},
	}
	proto, state := uint8(conntrack.ProtoUDP), uint8(0)
	if n%2 == 0 {
		proto, state = conntrack.ProtoTCP, conntrack.TCPTimeWait
	}
	e.Orig.Family, e.Orig.Proto, e.State = unix.AF_INET, proto, state
	e.Reply.Family, e.Reply.Proto = unix.AF_INET, proto
	return e
}

func v4(a, b, c, d byte) conntrack.Addr {
	return conntrack.Addr{10: 0xff, 11: 0xff, 12: a, 13: b, 14: c, 15: d}
}

// fresh makes of all connections new ones, which end now, and has the table meet
// them, or not.
func (p *path) fresh(met bool) {
	now := p.clock()
	for i := range p.events {
		e := &p.events[i]
		e.At, e.Start, e.Stop = now, now.Wall, 0
		if met {
			live := *e
			live.Type, live.State, live.Counters = conntrack.Dump, conntrack.TCPEstablished,
				[2]conntrack.Counters{}
			p.table.Apply(&live)
		}
		e.Type, e.Stop = conntrack.Destroy, now.Wall
	}
	p.table.EndDump(p.clock())
	p.want += 2 * burst
}

func (p *path) inject() {
	var datagram []byte
	for i := range p.events {
		datagram = conntracktest.AppendEntry(datagram[:0], &p.events[i])
		p.kernel.InjectEvent(datagram)
	}
}

// wait reads all that was injected.
func (p *path) wait(fn func(*conntrack.Event)) {
	before := p.reader.Stats.Destroys.Load()
	for p.reader.Stats.Destroys.Load()-before < burst {
		must(p.b, p.reader.Wait(0, fn))
	}
	p.drain() // lets the fake know that all is read
}

// drain throws away what was injected.
func (p *path) drain() {
	for {
		if _, err := p.socket.Recv(0); err != nil {
			return
		}
	}
}

// BenchmarkRealEvents is of a burst that the kernel has queued. Its entries have
// counted nothing, so that no record is made of them.
func BenchmarkRealEvents(b *testing.B) {
	locked(b)
	f := newFilled(b)
	n, r := &burstNull{filled: f, b: b}, &burstReader{filled: f, b: b}
	r.table = newTable(b, nil, new(export.Exporter), f.clock)
	c := newContest(
		work{n.before, n.run, n.after},
		work{func() { r.before(false) }, func() { r.run(func(*conntrack.Event) {}) }, r.after},
		work{func() { r.before(false) }, func() { r.run(r.table.Apply) }, r.after},
		work{func() { r.before(true) }, func() { r.run(r.table.Apply) }, r.after},
	)
	c.warm(2)
	for b.Loop() {
		c.round()
	}
	for i, name := range [...]string{"null", "reader", "unmet", "met"} {
		b.ReportMetric(c.cpu(i, burst), name+"-ns/event")
		if i > 0 {
			b.ReportMetric(c.ratio(i, 0), name+"-cpu-ratio")
		}
	}
	b.ReportMetric(c.allocs(2, burst), "unmet-allocs/event")
	b.ReportMetric(c.allocs(3, burst), "met-allocs/event")
	b.ReportMetric(0, "ns/op")
}

// burstNull receives a burst as a null reader.
type burstNull struct {
	*filled
	b    *testing.B
	null *nullReader
}

func (n *burstNull) before() {
	n.null = n.filled.null(n.b)
	must(n.b, n.null.subscribe())
	n.grow(n.b, burst)
	n.empty(n.b)
}

func (n *burstNull) run() {
	if got := n.null.drain(); got != burst {
		n.b.Fatalf("%d events", got)
	}
}

func (n *burstNull) after() { n.null.close() }

// burstReader receives a burst as conntally does.
type burstReader struct {
	*filled
	b      *testing.B
	reader *ctnetlink.Reader
	table  *flow.Table
}

func (r *burstReader) before(met bool) {
	r.reader = r.open(r.b)
	r.grow(r.b, burst)
	if met {
		must(r.b, r.reader.Dump(r.table.Apply))
	}
	r.table.EndDump(r.clock())
	r.empty(r.b)
}

func (r *burstReader) run(fn func(*conntrack.Event)) {
	for read := uint64(0); read < burst; {
		must(r.b, r.reader.Wait(0, fn))
		now := r.reader.Stats.Destroys.Load()
		if now == read {
			r.b.Fatalf("%d events", read)
		}
		read = now
	}
}

func (r *burstReader) after() { must(r.b, r.reader.Close()) }
