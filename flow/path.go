package flow

import "github.com/conntally/conntally/conntrack"

// A connection's path is that of its first packet, where the source saw it; else it is where routes
// lead. What packets take later only routes can tell: so a path follows them when they change, but
// not where they never led as the first packet went. Then something decides that they don't show,
// such as a mark.

// Hop is the interface towards one end of a connection: its ifIndex, 0 for the
// router itself, and whether it is an uplink.
type Hop uint32

const uplinkBit Hop = 1 << 31 // the kernel's ifIndexes are positive and 32 bits wide

// NewHop returns the Hop of an interface.
func NewHop(index uint32, uplink bool) Hop {
	h := Hop(index) &^ uplinkBit
	if uplink {
		h |= uplinkBit
	}
	return h
}

// Index returns the ifIndex, 0 for the router itself.
func (h Hop) Index() uint32 { return uint32(h &^ uplinkBit) }

// Uplink reports whether a default route leaves by the interface.
func (h Hop) Uplink() bool { return h&uplinkBit != 0 }

// Path is the way of a connection through the router: for each direction the Hop
// by which its packets come in. They leave by that of the other direction.
type Path [2]Hop

// RouteResolver finds the paths of connections.
type RouteResolver interface {
	// Path returns the path of e's connection as routes are now, whatever its first packet
	// showed: 0 for what is not known.
	Path(e *conntrack.Event) Path
	// Hop returns the Hop of an interface.
	Hop(index uint32) Hop
	// Shrink gives back memory that was not needed since it was last called. A Table
	// calls it every few minutes.
	Shrink()
	// Version returns a number that changes whenever Path may answer differently.
	Version() uint32
	// Changed returns when the first and the last change of routes after a version
	// came, of those that may have led e's connection from one path to another. Times
	// are of the monotonic clock.
	Changed(version uint32, e *conntrack.Event, before, now Path) (first, last int64)
}

// basis is what a flow's path is based on.
type basis uint8

const (
	byRoutes   basis = iota // the first packet is not known
	byChange                // the same, and routes have changed since the flow was first seen
	asRoutes                // the first packet went where routes lead
	unlikeThem              // it went where routes don't lead
)

// route finds the path of a new flow. Of a connection that has ended, its first packet shows all.
func (t *Table) route(en *entry, e *conntrack.Event) {
	if t.options.Routes == nil {
		if e.First.Known {
			t.firstPath(en, e)
		}
		return
	}
	en.version = t.options.Routes.Version() // first: Path may be newer, never older
	if e.Type != conntrack.Destroy || !e.First.Known {
		en.path = t.options.Routes.Path(e)
	}
	if e.First.Known {
		en.path = t.firstPath(en, e)
	}
}

// see takes the path of the first packet of a flow that has been routed so far, once it is known.
// That is where packets went until routes changed.
func (t *Table) see(en *entry, e *conntrack.Event) {
	if e.First.Known && en.basis < asRoutes {
		t.lead(en, e, t.firstPath(en, e))
	}
}

// lead has a flow take another path, and count for that, unless it has it already.
func (t *Table) lead(en *entry, e *conntrack.Event, path Path) {
	if path == en.path {
		return
	}
	t.close(en)
	en.path = path
	t.open(en, e)
}

// firstPath copies what the first packet showed, and returns its path.
func (t *Table) firstPath(en *entry, e *conntrack.Event) Path {
	first := &e.First
	en.tos, en.vlan, en.mac = first.ToS, first.VLAN, first.MAC
	if t.options.Routes == nil || en.basis == byChange {
		en.basis = asRoutes
		return en.path
	}
	path := t.hops(first.Input, first.Output)
	if en.basis = asRoutes; path != en.path {
		en.basis = unlikeThem
	}
	return path
}

// hops returns the path from an interface to another. What the router sends to itself comes in by
// lo, as far as routes are concerned.
func (t *Table) hops(input, output uint32) Path {
	const loopback = 1 // the index of lo in every network namespace (LOOPBACK_IFINDEX)
	if input == 0 && output == loopback {
		input, output = output, input
	}
	last, version := &t.lastHops, t.options.Routes.Version()
	if last.input != input || last.output != output || last.version != version {
		path := Path{t.options.Routes.Hop(input), t.options.Routes.Hop(output)}
		*last = knownHops{version, input, output, path}
	}
	return last.path
}

// knownHops is the path between two interfaces that was asked for last: most connections take one.
type knownHops struct {
	version       uint32 // of the RouteResolver
	input, output uint32
	path          Path
}

// pathNow returns the path that packets of a flow take now, as far as routes tell. Of a path that
// they don't, only the uplinks may have changed.
func (t *Table) pathNow(en *entry, e *conntrack.Event) Path {
	if en.basis == unlikeThem {
		return t.hops(en.path[conntrack.Original].Index(), en.path[conntrack.Reply].Index())
	}
	path := en.path
	for d, hop := range t.options.Routes.Path(e) {
		if hop != 0 { // a connection keeps its path where no route leads any more
			path[d] = hop
		}
	}
	return path
}

// reroute finds the path again where it may have changed before the last packet passed.
// Packets before the change went the old way, in particular those of connections that end
// because their interface is gone.
func (t *Table) reroute(en *entry, e *conntrack.Event) {
	if t.options.Routes == nil {
		return
	}
	version := t.options.Routes.Version()
	if version == en.version {
		return
	}
	path := t.pathNow(en, e)
	if path == en.path || en.lastPacket >= t.pathChanged(en, e, path)+timerDoubt {
		if path != en.path && en.basis == byRoutes {
			en.basis = byChange
		}
		t.lead(en, e, path)
		en.version = version
	} // else later packets may take the new path
}

// pathChanged returns when the path of en changed, by the monotonic clock. A connection that
// ends takes the new path only if no change came after its last packet.
func (t *Table) pathChanged(en *entry, e *conntrack.Event, path Path) int64 {
	first, last := t.options.Routes.Changed(en.version, e, en.path, path)
	if e.Type == conntrack.Destroy {
		return last
	}
	return first
}

// Interface is one of the router's network interfaces, to which Hops and Records
// refer by its ifIndex.
type Interface struct {
	Index       uint32
	Name        string
	Description string
	VLAN        uint16 // the id of a VLAN interface, else 0
}
