package collect

import (
	"net/netip"
	"sync"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow/host"
)

// Machine is what the machine that conntally-history runs on knows of its network.
type Machine interface {
	// Local reports whether the machine itself has the address.
	Local(a *conntrack.Addr) bool
	// Broadcast reports whether a is the broadcast address of one of the machine's networks.
	Broadcast(a *conntrack.Addr) bool
	// MAC returns the Ethernet address by which an interface of the machine reaches a, or the
	// zero one. An index of 0 is any interface, if only one reaches it.
	MAC(a *conntrack.Addr, index uint32) host.MAC
	// Inside reports whether a is a neighbour by an interface that no default route uses.
	Inside(a *conntrack.Addr) bool
}

// Names says what devices are called, and who made them.
type Names interface {
	Name(mac host.MAC, addrs []netip.Addr) string
	Vendor(mac host.MAC) string
}

// Options of a Collector.
type Options struct {
	Calendar usage.Calendar
	Inside   []netip.Prefix // whose addresses are devices, besides those that are known to be
	Exclude  []netip.Prefix // whose addresses count as usage.Other
	Aliases  []Alias
	Max      int // devices
	// DestinationInterval is how often destinations are part of a batch: less often than the
	// rest, as they are many.
	DestinationInterval time.Duration
	Machine             Machine
	Names               Names
}

// Alias is a device that the configuration names: it has several Ethernet addresses or
// addresses. The first of them identifies it, whatever its name.
type Alias struct {
	Name  string
	MACs  []host.MAC
	Addrs []netip.Addr
}

// Limits of what is kept in memory.
const (
	maxExporters    = 256
	maxStreams      = 8       // sockets of an exporter
	maxHourRows     = 1 << 16 // of devices; then only those of usage.Other are added
	maxDestinations = 1 << 15 // of all devices; then only the rest of each device is added
	maxIntakeRows   = 1 << 12
	maxHeld         = 1 << 12 // records whose exporter's interfaces are not known yet
	maxMerges       = 1 << 12
	maxActive       = 1 << 15 // connections that the next record continues
)

// Collector counts usage until it is written. Any goroutine may call its methods, which don't
// wait for anything.
type Collector struct {
	mu        sync.Mutex
	o         Options
	exporters map[usage.Exporter]*exporter
	stored    map[usage.Exporter]usage.Sequence // of exporters that have not sent since the start
	devices   devices
	pending   pending
	active    active
	held      int
	stats     Stats
}

// Stats are totals since the start, and sizes.
type Stats struct {
	Devices, Destinations, Rows int    // now; Destinations and Rows are not written yet
	Overflow                    uint64 // records that counted for "other", for want of room
	Folded                      uint64 // records whose destination found no room
	Exporters                   []ExporterStats
}

// ExporterStats is what came from an exporter since the start.
type ExporterStats struct {
	usage.Exporter
	usage.Intake
	Last time.Time // when something came; zero: not since the start
}

// New returns a Collector that continues where the database's last batch ended.
func New(o Options, sequences map[usage.Exporter]usage.Sequence, known []usage.Device) *Collector {
	c := &Collector{
		o:         o,
		exporters: map[usage.Exporter]*exporter{},
		stored:    sequences,
		pending:   newPending(),
		active:    active{},
	}
	c.devices = newDevices(&c.o)
	c.devices.restore(known)
	return c
}

// Handle counts what a message says, received now. fault is what was wrong with it.
func (c *Collector) Handle(m *decode.Message, fault error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.exporter(usage.Exporter{
		Address: m.Exporter.Addr(), Version: m.Version, Domain: m.Domain,
	}, now)
	x.last = now
	c.take(x, m, fault, now)
	for i := range m.Flows {
		c.flow(x, heldFlow{m.Flows[i], m.ExportTime, now})
	}
	c.release(x, false)
}

// flow counts a record, or holds it back until its exporter's uplinks are known.
func (c *Collector) flow(x *exporter, f heldFlow) {
	x.learn(&f.Flow)
	if !x.knows(&f.Flow) && c.held < maxHeld {
		x.held = append(x.held, f)
		c.held++
		return
	}
	c.count(x, &f)
}

// release counts the records of an exporter that were held back: those whose interfaces are
// known now, or all.
func (c *Collector) release(x *exporter, all bool) {
	if len(x.held) == 0 || !all && !x.changed {
		return
	}
	x.changed = false
	kept := x.held[:0]
	for i := range x.held {
		if f := &x.held[i]; all || x.knows(&f.Flow) {
			c.count(x, f)
		} else {
			kept = append(kept, *f)
		}
	}
	c.held -= len(x.held) - len(kept)
	x.held = kept
	if len(kept) == 0 {
		x.held = nil
	}
}

// count counts a record for the devices at its ends.
func (c *Collector) count(x *exporter, f *heldFlow) {
	src, dst := c.ends(x, f)
	s := newSpan(f.Start, f.End, f.exported, f.received)
	r := record{
		Flow: &f.Flow, span: s, received: f.received, src: src.addr, dst: dst.addr,
		begins: c.active.begins(x, &f.Flow, s), port: servicePort(&f.Flow, src.place, dst.place),
	}
	up, down := src.device, dst.device
	wan := src.place == outside || dst.place == outside
	if up == nil && down == nil {
		up, wan = c.devices.other, wan || !src.addr.IsValid() && !dst.addr.IsValid()
	}
	if up != nil {
		c.add(&r, up, wan, true)
	}
	if down != nil {
		c.add(&r, down, wan, false)
	}
}

// Take returns what has been counted since the last call, to be written. last says that no
// other call follows: it adds what would wait for another.
func (c *Collector) Take(now time.Time, last bool) *usage.Batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.exporters {
		x.decided = true
		c.release(x, true)
		x.flips = 0
		x.giveUp(now, last, &c.pending, c.o.Calendar)
		c.pending.follow(x)
	}
	c.active.expire(now)
	c.devices.rename()
	b := c.pending.take(now, last || c.destinationsDue(now), c.devices.takeMerges())
	b.Devices = c.devices.takeChanged()
	return b
}

// destinationsDue reports whether destinations are to be written: after their interval, on a
// new day, or where they are many.
func (c *Collector) destinationsDue(now time.Time) bool {
	p := &c.pending
	if p.destinationsAt.IsZero() {
		p.destinationsAt = now
	}
	return now.Sub(p.destinationsAt) >= c.o.DestinationInterval ||
		c.o.Calendar.Day(now) != c.o.Calendar.Day(p.destinationsAt) ||
		len(p.destinations) >= maxDestinations/2
}

// Return takes a batch back that could not be written.
func (c *Collector) Return(b *usage.Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending.restore(b)
	for i := range b.Devices {
		if d := c.devices.byID[b.Devices[i].ID]; d != nil {
			d.changed = true
		}
	}
}

// Rate is what a device moves, in bits per second: the average of the last minute.
type Rate struct{ Up, Down float64 }

// Rates returns what each device moves through an uplink, by its ID.
func (c *Collector) Rates(now time.Time) map[string]Rate {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]Rate{}
	for id, d := range c.devices.byID {
		if r := d.rate.at(now); r != (Rate{}) {
			all[id] = r
		}
	}
	return all
}

// Stats returns totals since the start.
func (c *Collector) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Devices, s.Destinations = len(c.devices.byID), len(c.pending.destinations)
	s.Rows = len(c.pending.hours) + len(c.pending.destinations) + len(c.pending.exporters)
	for _, x := range c.exporters {
		s.Exporters = append(s.Exporters, ExporterStats{x.key, x.total, x.last})
	}
	return s
}
