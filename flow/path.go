package flow

import "github.com/conntally/conntally/conntrack"

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
	// Path returns the path of e's connection as routes are now: 0 for what is not
	// known.
	Path(e *conntrack.Event) Path
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

// route finds the path of a new flow.
func (t *Table) route(en *entry, e *conntrack.Event) {
	if t.options.Routes != nil {
		en.version = t.options.Routes.Version() // first: Path may be newer, never older
		en.path = t.options.Routes.Path(e)
	}
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
	path := en.path
	for d, hop := range t.options.Routes.Path(e) {
		if hop != 0 { // a connection keeps its path where no route leads any more
			path[d] = hop
		}
	}
	if path == en.path || en.lastPacket >= t.pathChanged(en, e, path)+timerDoubt {
		if path != en.path {
			t.close(en)
			en.path = path
			t.open(en, e)
		}
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
