package account

import (
	"net/netip"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
)

// Resolver knows what an address is.
type Resolver interface {
	// Local reports whether the router itself has the address.
	Local(a *conntrack.Addr) bool
	// MAC returns the Ethernet address by which an interface reaches a, or the zero one.
	// Changes up to the time at, of the monotonic clock, are known.
	MAC(a *conntrack.Addr, index uint32, at int64) host.MAC
}

// Options of Accounts.
type Options struct {
	// Devices is false where only the totals count.
	Devices bool
	Max     int            // devices; what finds no room counts as the device "other"
	Inside  []netip.Prefix // networks whose hosts are devices behind an uplink, too
	Exclude []netip.Prefix // networks whose hosts count as "other"
	Aliases []Alias
	// OfflineAfter is how long a device is online after it last sent something.
	OfflineAfter time.Duration
	Resolver     Resolver
}

// Alias is a device that the configuration names: it has several Ethernet addresses or
// addresses. The first of them identifies it, whatever its name.
type Alias struct {
	Name  string
	MACs  []host.MAC
	Addrs []netip.Addr
}

// Scope is where the other end of a device's connection is.
type Scope uint8

// The scopes.
const (
	WAN Scope = iota // behind an uplink
	LAN
	scopes
)

// String returns "wan" or "lan".
func (s Scope) String() string { return [...]string{"wan", "lan"}[s] }

// Usage is what a device has sent (Up) and received (Down).
type Usage struct{ Up, Down conntrack.Counters }

// Add adds what another has counted.
func (u *Usage) Add(v *Usage) {
	add(&u.Up, &v.Up)
	add(&u.Down, &v.Down)
}

func add(sum, c *conntrack.Counters) {
	sum.Packets += c.Packets
	sum.Bytes += c.Bytes
}

// Traffic is which way a connection's bytes pass the router.
type Traffic uint8

// The kinds of traffic: every byte is of exactly one.
const (
	Upload   Traffic = iota // of a device to an uplink
	Download                // from an uplink to a device
	Internal                // between devices
	Transit                 // from an uplink to an uplink
	Unknown                 // one end's interface is not known
	traffics
)

// String returns the name of a kind of traffic, in lower case.
func (t Traffic) String() string {
	return [...]string{"upload", "download", "internal", "transit", "unknown"}[t]
}

// Ends that are no device, and the places of two devices that are always there.
const (
	outside int32 = -1 // behind an uplink
	nobody  int32 = -2 // a group, a broadcast address, or not known
	other   int32 = 0
	router  int32 = 1
)

// connection is what is known of an open connection.
type connection struct {
	ends       [2]int32 // of the one that opened it and the one that answers: places of devices
	interfaces [2]uint16
	traffic    [2]Traffic // of each direction
	scope      Scope
	moved      [2]uint64 // bytes, at the last reading that found any
	readAt     int64     // when that was, monotonic; of a free slot, the next free one
}

// Accounts is a flow.Meter that counts by device, interface and kind of traffic. Its
// methods belong to one goroutine, that of the flow.Table.
type Accounts struct {
	options Options
	aliases map[ID]int // places in Options.Aliases

	connections []connection
	free        int64 // the first free slot, or none
	open        int   // connections

	devices   []device
	freed     []int32 // places in devices
	byID      map[ID]int32
	byAddress map[address]int32
	roomMade  int64 // when makeRoom last ran, monotonic

	interfaces interfaces
	traffic    [traffics]uint64 // bytes
}

const none = -1 // no slot

var _ flow.Meter = (*Accounts)(nil)

// New returns Accounts that have counted nothing.
func New(o Options) *Accounts {
	a := &Accounts{
		free: none, byID: map[ID]int32{}, byAddress: map[address]int32{},
		interfaces: newInterfaces(),
	}
	a.add(ID{Kind: Other})
	a.add(ID{Kind: Router})
	a.Reconfigure(o)
	return a
}

// Open implements flow.Meter.
func (a *Accounts) Open(e *conntrack.Event, p flow.Path) uint32 {
	var ends [2]int32
	ends[0] = a.end(&e.Orig.Src, e.Zone, p[0], e.At)
	a.connected(ends[0], 1) // so that the other end's device doesn't take its place
	ends[1] = a.end(&e.Reply.Src, e.ReplyZone, p[1], e.At)
	a.connected(ends[0], -1)
	c := connection{ends: ends, traffic: trafficOf(ends), scope: LAN}
	for d := range p {
		c.interfaces[d] = a.interfaces.place(p[d].Index())
	}
	if ends[0] == outside || ends[1] == outside {
		c.scope = WAN
		c.standIn()
	}
	for _, end := range c.ends {
		a.connected(end, 1)
	}
	a.open++
	return a.store(&c)
}

// connected adds n to the connections of a device, if an end is one.
func (a *Accounts) connected(end, n int32) {
	if end >= 0 {
		a.devices[end].connections += n
	}
}

// trafficOf returns what the bytes of each direction are.
func trafficOf(ends [2]int32) [2]Traffic {
	inside := [2]bool{ends[0] >= 0, ends[1] >= 0}
	switch {
	case ends[0] == outside && ends[1] == outside:
		return [2]Traffic{Transit, Transit}
	case inside[0] && ends[1] == outside:
		return [2]Traffic{Upload, Download}
	case ends[0] == outside && inside[1]:
		return [2]Traffic{Download, Upload}
	case inside[0] || inside[1]:
		return [2]Traffic{Internal, Internal}
	}
	return [2]Traffic{Unknown, Unknown}
}

// standIn has the device "other" stand for an end of a connection by an uplink that no
// device is known for: each such connection counts for one device.
func (c *connection) standIn() {
	for d, end := range c.ends {
		if end == nobody {
			c.ends[d] = other
		}
	}
	if c.ends == [2]int32{outside, outside} {
		c.ends[0] = other
	}
}

// store puts a connection into a free slot.
func (a *Accounts) store(c *connection) uint32 {
	if a.free == none {
		a.connections = append(a.connections, *c)
		return uint32(len(a.connections) - 1)
	}
	slot := a.free
	a.free = a.connections[slot].readAt
	a.connections[slot] = *c
	return uint32(slot)
}

// Close implements flow.Meter.
func (a *Accounts) Close(slot uint32) {
	c := &a.connections[slot]
	for d, end := range c.ends {
		if end < 0 {
			continue
		}
		a.devices[a.resolve(&c.ends[d])].connections--
	}
	*c = connection{readAt: a.free}
	a.free = int64(slot)
	a.open--
}

// Count implements flow.Meter.
func (a *Accounts) Count(slot uint32, moved *[2]conntrack.Counters, at conntrack.Timestamp) {
	c := &a.connections[slot]
	for d := range moved {
		a.traffic[c.traffic[d]] += moved[d].Bytes
		c.moved[d] = moved[d].Bytes
		switch end := c.ends[d]; {
		case end >= 0:
			dev := &a.devices[a.resolve(&c.ends[d])]
			u := &dev.usage[c.scope]
			add(&u.Up, &moved[d])
			add(&u.Down, &moved[1-d])
			if moved[d].Packets > 0 {
				dev.seen(at.Wall)
			}
		case end == nobody && moved[d].Bytes > 0:
			add(&a.devices[other].usage[c.scope].Up, &moved[d])
		}
	}
	c.readAt = at.Mono
	a.interfaces.count(c.interfaces, moved)
}

// Moved returns what a connection moved at its last reading, in bytes, or nothing where
// that was before since, of the monotonic clock.
func (a *Accounts) Moved(slot uint32, since int64) (bytes [2]uint64) {
	if c := &a.connections[slot]; c.readAt >= since {
		bytes = c.moved
	}
	return bytes
}
