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

// Uplink tells whether a default route leaves by the interface.
func (h Hop) Uplink() bool { return h&uplinkBit != 0 }

// Path is the way of a connection through the router: for each direction the Hop
// by which its packets come in. They leave by that of the other direction.
type Path [2]Hop

// RouteResolver finds the paths of connections.
type RouteResolver interface {
	// Path returns the path of e's connection as routes are now.
	Path(e *conntrack.Event) Path
	// Version returns a number that changes whenever Path may answer
	// differently, and since when it stands, of the monotonic clock.
	Version() (number uint32, since int64)
}

// route finds the path of a flow that begins.
func (t *Table) route(en *entry, e *conntrack.Event) {
	if t.options.Routes != nil {
		en.version, _ = t.options.Routes.Version() // first: Path may be newer, never older
		en.path = t.options.Routes.Path(e)
	}
}

// reroute finds the path anew where it may have changed before the last packet
// passed. What passed before went the old way, above all the end of connections
// that end because their interface went away.
func (t *Table) reroute(en *entry, e *conntrack.Event) {
	if t.options.Routes == nil {
		return
	}
	version, since := t.options.Routes.Version()
	if version == en.version || en.moved < since+timerDoubt {
		return
	}
	en.version = version
	for d, hop := range t.options.Routes.Path(e) {
		if hop != 0 { // nor does the way end where no route leads any more
			en.path[d] = hop
		}
	}
}
