package account

import (
	"net/netip"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
)

// Resolver identifies addresses.
type Resolver interface {
	// Local reports whether the router itself has the address.
	Local(a *conntrack.Addr) bool
	// Broadcast reports whether a is the broadcast address of one of the router's networks.
	Broadcast(a *conntrack.Addr) bool
	// Name returns the present name of an interface, or "" if it isn't known.
	Name(index uint32) string
	// MAC returns the Ethernet address by which an interface reaches a, or the zero one.
	// Changes up to the time at, of the monotonic clock, are known.
	MAC(a *conntrack.Addr, index uint32, at int64) host.MAC
	// Version returns a number that changes whenever Local, Broadcast or MAC may answer
	// differently, the latter as of the last time that it was asked for.
	Version() uint32
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

// Add adds another Usage.
func (u *Usage) Add(v *Usage) {
	add(&u.Up, &v.Up)
	add(&u.Down, &v.Down)
}

func add(sum, c *conntrack.Counters) {
	sum.Packets += c.Packets
	sum.Bytes += c.Bytes
}

// Traffic is the way that bytes take through the router.
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

// way is what a connection counts for.
type way struct {
	ends       [2]int32 // of the one that opened a connection and the one that answers
	interfaces [2]uint16
	traffic    [2]Traffic // of each direction
	scope      Scope
}

// route is what open connections between the same devices by the same interfaces have in
// common. There are far fewer of them than connections, so they stay in the CPU's caches.
type route struct {
	way              // its ends are those of key, unless a device was merged into another since
	key         way  // in Accounts.byRoute
	keyed       bool // it is there
	connections int32
	next        int32 // the next free route, where connections is 0
}

// Accounts is a flow.Meter that counts by device, interface and kind of traffic. Its
// methods belong to one goroutine, that of the flow.Table.
type Accounts struct {
	options Options
	aliases map[ID]int // places in Options.Aliases

	routes  []route
	byRoute map[way]int32
	free    int32 // the first free route, or none
	open    int   // connections

	devices   []device
	freed     []int32 // places in devices
	byID      map[ID]int32
	byAddress map[address]int32
	roomMade  int64 // when makeRoom last ran, monotonic
	pinned    int32 // a device that must not be forgotten; other never is

	known    [2]knownEnds // by whether they open connections or answer, else they displace each other
	numbered uint32       // of known ends
	changes  uint32       // of devices and options; known ends are of one of them
	asked    int64        // up to when changes of neighbours are known, monotonic

	interfaces interfaces
	traffic    [traffics]uint64 // bytes
}

const none int32 = -1 // no place

var _ flow.Meter = (*Accounts)(nil)

// New returns Accounts that have counted nothing.
func New(o Options) *Accounts {
	a := &Accounts{
		free: none, changes: 1, byRoute: map[way]int32{}, byID: map[ID]int32{},
		byAddress:  map[address]int32{},
		interfaces: newInterfaces(),
	}
	a.add(ID{Kind: Other})
	a.add(ID{Kind: Router})
	a.Reconfigure(o)
	return a
}

// Open implements flow.Meter.
func (a *Accounts) Open(e *conntrack.Event, p flow.Path) uint32 {
	var w way
	a.wayOf(&w, e, p)
	for _, end := range w.ends {
		a.connected(end, 1)
	}
	a.open++
	return uint32(a.route(&w))
}

// CountEnded implements flow.Meter.
func (a *Accounts) CountEnded(e *conntrack.Event, p flow.Path, moved *[2]conntrack.Counters) {
	var w way
	a.wayOf(&w, e, p)
	a.count(&w, moved, e.At)
}

// wayOf finds what a connection counts for. w is zero.
func (a *Accounts) wayOf(w *way, e *conntrack.Event, p flow.Path) {
	version, numbered := a.version(), a.numbered
	opener := a.end(&a.known[0], &e.Orig.Src, e.Zone, p[0], version, e.At)
	w.ends[0], w.interfaces[0] = opener.device, opener.via
	a.pinned = opener.device // so that the other end's device can't take its place
	if a.numbered != numbered {
		version = a.version() // since changes of neighbours may have been read
	}
	peer := a.end(&a.known[1], &e.Reply.Src, e.ReplyZone, p[1], version, e.At)
	w.ends[1], w.interfaces[1] = peer.device, peer.via
	a.pinned = other
	if w.ends[0] >= 0 && peer.device == outside { // most connections
		w.traffic, w.scope = [2]Traffic{Upload, Download}, WAN
		return
	}
	w.traffic, w.scope = trafficOf(w.ends), LAN
	if w.ends[0] == outside || w.ends[1] == outside {
		standIn(&w.ends)
		w.scope = WAN
	}
}

// connected adds n to the connections of a device, if an end is one.
func (a *Accounts) connected(end, n int32) {
	if end >= 0 {
		a.devices[end].connections += n
	}
}

// trafficOf returns the kind of traffic of each direction.
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

// standIn makes "other" the device of a connection by an uplink that has no known device, so
// that each connection counts for some device.
func standIn(ends *[2]int32) {
	for d, end := range ends {
		if end == nobody {
			ends[d] = other
		}
	}
	if *ends == [2]int32{outside, outside} {
		ends[0] = other
	}
}

// route returns the place of a connection's route, and counts the connection.
func (a *Accounts) route(w *way) int32 {
	i, known := a.byRoute[*w]
	if !known {
		i = a.addRoute(&route{way: *w, key: *w, keyed: true})
		a.byRoute[*w] = i
	}
	a.routes[i].connections++
	return i
}

func (a *Accounts) addRoute(r *route) int32 {
	i := a.free
	if i == none {
		a.routes = append(a.routes, *r)
		return int32(len(a.routes) - 1)
	}
	a.free = a.routes[i].next
	a.routes[i] = *r
	return i
}

// Close implements flow.Meter.
func (a *Accounts) Close(slot uint32) {
	r := &a.routes[slot]
	for d, end := range r.ends {
		if end >= 0 {
			a.devices[a.resolve(r, d)].connections--
		}
	}
	a.open--
	if r.connections--; r.connections > 0 {
		return
	}
	if r.keyed {
		delete(a.byRoute, r.key)
	}
	*r = route{next: a.free}
	a.free = int32(slot)
}

// Count implements flow.Meter.
func (a *Accounts) Count(slot uint32, moved *[2]conntrack.Counters, at conntrack.Timestamp) {
	r := &a.routes[slot]
	for d, end := range r.ends {
		if end >= 0 {
			a.resolve(r, d)
		}
	}
	a.count(&r.way, moved, at)
}

// count adds what a connection has moved.
func (a *Accounts) count(w *way, moved *[2]conntrack.Counters, at conntrack.Timestamp) {
	for d := range moved {
		a.traffic[w.traffic[d]] += moved[d].Bytes
		switch end := w.ends[d]; {
		case end >= 0:
			dev := &a.devices[end]
			u := &dev.usage[w.scope]
			add(&u.Up, &moved[d])
			add(&u.Down, &moved[1-d])
			dev.moved = at.Wall
			if moved[d].Packets > 0 {
				dev.seen(at.Wall)
			}
		case end == nobody && moved[d].Bytes > 0:
			add(&a.devices[other].usage[w.scope].Up, &moved[d])
		}
	}
	a.interfaces.count(w.interfaces, moved)
}
