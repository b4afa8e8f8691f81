// Package filter decides which connections become flows.
//
//	conntrack.Event -> Filter.Keeps -> flow.Options.Exclude
//
// It compares a connection's two real ends: the initiator, as before source NAT, and
// the responder, as after destination NAT. Which addresses records show doesn't matter.
package filter

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// Interfaces finds the interfaces of a connection.
type Interfaces interface {
	// Path returns the way of e's connection through the router.
	Path(e *conntrack.Event) flow.Path
	// Name returns the name of an interface, "" where it doesn't exist.
	Name(index uint32) string
}

// Filter is a list of rules. The first one that a connection matches decides; what
// matches none is kept. It belongs to one goroutine.
type Filter struct {
	rules      []rule
	interfaces Interfaces
}

// New returns a filter of rules. interfaces may be nil where no rule asks for
// interfaces.
func New(rules []Rule, interfaces Interfaces) *Filter {
	f := &Filter{interfaces: interfaces}
	for i := range rules {
		f.rules = append(f.rules, compile(&rules[i]))
	}
	return f
}

// Keeps reports whether e's connection is to become a flow. It allocates nothing.
func (f *Filter) Keeps(e *conntrack.Event) bool {
	for i := range f.rules {
		if r := &f.rules[i]; r.matches(e) && f.passes(r.interfaces, e) {
			return r.include
		}
	}
	return true
}

// passes reports whether e's connection uses one of the interfaces, or the rule names
// none. It comes last: it may have to ask the kernel.
func (f *Filter) passes(interfaces []string, e *conntrack.Event) bool {
	if len(interfaces) == 0 {
		return true
	}
	if f.interfaces == nil {
		return false
	}
	for _, index := range f.path(e) {
		if index == 0 { // the router itself, or unknown
			continue
		}
		if slices.Contains(interfaces, f.interfaces.Name(index)) {
			return true
		}
	}
	return false
}

// path returns the interfaces that e's first packet passed, or else those that routes name.
func (f *Filter) path(e *conntrack.Event) [2]uint32 {
	if first := &e.First; first.Known {
		return [...]uint32{first.Input, first.Output}
	}
	path := f.interfaces.Path(e)
	return [...]uint32{path[conntrack.Original].Index(), path[conntrack.Reply].Index()}
}

// matches reports whether e meets all conditions of r except that on interfaces.
func (r *rule) matches(e *conntrack.Event) bool {
	return r.protocols.has(e.Orig.Proto) &&
		(len(r.zones) == 0 || slices.Contains(r.zones, cmp.Or(e.Zone, e.ReplyZone))) &&
		(len(r.marks) == 0 || markIn(r.marks, e.Mark)) &&
		r.matchesPorts(e) && r.matchesNetworks(e)
}

func (r *rule) matchesPorts(e *conntrack.Event) bool {
	if len(r.ports) == 0 && len(r.destinationPorts) == 0 {
		return true
	}
	if !hasPorts(e.Orig.Proto) {
		return false
	}
	from, to := e.Orig.SrcPort, e.Reply.SrcPort
	return (len(r.ports) == 0 || portIn(r.ports, from) || portIn(r.ports, to)) &&
		(len(r.destinationPorts) == 0 || portIn(r.destinationPorts, to))
}

func (r *rule) matchesNetworks(e *conntrack.Event) bool {
	from, to, v4 := split(&e.Orig.Src), split(&e.Reply.Src), e.Orig.Family == unix.AF_INET
	either := len(r.networks) == 0 ||
		addressIn(r.networks, from, v4) || addressIn(r.networks, to, v4)
	return either &&
		(len(r.sources) == 0 || addressIn(r.sources, from, v4)) &&
		(len(r.destinations) == 0 || addressIn(r.destinations, to, v4))
}

// hasPorts reports whether the tuples of a protocol have ports, rather than something else in
// their place.
func hasPorts(proto uint8) bool {
	switch proto {
	case conntrack.ProtoTCP, conntrack.ProtoUDP, conntrack.ProtoUDPLite,
		conntrack.ProtoSCTP, conntrack.ProtoDCCP:
		return true
	}
	return false
}
