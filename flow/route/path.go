package route

import (
	"encoding/binary"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// end is one end of a connection and how it is reached.
type end struct {
	addr *conntrack.Addr
	atom number // the first of the addresses that are routed alike
	answer
}

func (v *view) end(addr *conntrack.Addr) end {
	return end{addr: addr, atom: v.atoms.of(numberOf(addr))}
}

// Path implements flow.RouteResolver.
//
// One end is taken to be within: the one that opened the connection, or what a
// forwarded port leads to; and if it is behind an uplink, the other. The route to the
// end without is that of a packet from within, with the connection's mark. Where
// there are several uplinks, the address of ours that a peer talks to tells more
// than routes do: it belongs to one of them.
func (r *Resolver) Path(e *conntrack.Event) flow.Path {
	r.look()
	if isLinkLocal(&e.Orig.Src) || isLinkLocal(&e.Reply.Src) {
		return within(r.seen.neighbours(e))
	}
	opener, peer := r.seen.end(&e.Orig.Src), r.seen.end(&e.Reply.Src)
	inner, outer := &opener, &peer
	if e.Orig.Dst != e.Reply.Src {
		inner, outer = outer, inner
	}
	r.find(inner, outer, e.Mark&r.marks)
	r.Stats.Hits.Add(r.hits)
	r.hits = 0
	path := flow.Path{r.seen.towards(&opener, &peer), r.seen.towards(&peer, &opener)}
	r.seen.correct(&path[conntrack.Original], &e.Orig.Dst)
	r.seen.correct(&path[conntrack.Reply], &e.Reply.Dst)
	return within(path)
}

// within lets what has no interface at all pass by lo: what the router says to
// itself does, and some collectors drop records that name no interface.
func within(path flow.Path) flow.Path {
	if path == (flow.Path{}) {
		path[conntrack.Original] = flow.NewHop(loopback, false)
	}
	return path
}

// find asks for the routes to both ends.
func (r *Resolver) find(inner, outer *end, mark uint32) {
	r.plain(inner)
	if inner.hop.Uplink() {
		inner, outer = outer, inner
		r.plain(inner)
	}
	r.from(inner, outer, mark)
	r.from(outer, inner, 0)
}

// plain asks for the route to an end, whoever sends.
func (r *Resolver) plain(to *end) {
	switch {
	case to.kind != untold:
	case isUnspecified(to.addr):
		to.kind = nowhere
	default:
		r.ask(to, 0, &query{to: to.addr})
	}
}

// from asks for the route that packets of the sender take.
func (r *Resolver) from(sender, to *end, mark uint32) {
	q := query{to: to.addr, mark: mark}
	class := uint64(0)
	switch sender.kind {
	case unicast:
		q.from, q.in = sender.addr, sender.hop.Index()
		class = r.seen.class(sender.addr, q.in)
	case local:
		q.from = sender.addr
		class = r.seen.class(sender.addr, loopback)
	}
	if class == 0 && mark == 0 {
		r.plain(to)
		return
	}
	if class == 0 || !r.ask(to, class, &q) {
		r.ask(to, 0, &query{to: to.addr, mark: mark})
	}
}

// towards returns the interface by which packets from the other end leave.
func (v *view) towards(to, other *end) flow.Hop {
	switch {
	case to.kind == unicast:
		return to.hop
	case to.kind == group && other.kind == local: // else it is the router that listens
		if index := v.owners[*other.addr]; index != 0 {
			return v.hop(index)
		}
		return to.hop
	}
	return 0
}

// correct replaces an uplink by the one that an address of ours belongs to.
func (v *view) correct(hop *flow.Hop, ours *conntrack.Addr) {
	if !hop.Uplink() || len(v.uplinks) < 2 {
		return
	}
	n := numberOf(ours)
	if at := upTo(v.telling, n); at > 0 && v.telling[at-1] == n {
		*hop = v.told[at-1]
	}
}

// neighbours returns the path between link-local addresses. They are never
// forwarded, so the interface is that of the end that is ours.
func (v *view) neighbours(e *conntrack.Event) (path flow.Path) {
	opener, ours := v.owners[e.Orig.Src]
	peer, theirs := v.owners[e.Reply.Src]
	switch {
	case ours && theirs:
	case ours:
		path[conntrack.Reply] = v.hop(opener)
	case theirs:
		path[conntrack.Original] = v.hop(peer)
	}
	return path
}

// isLinkLocal tells fe80::/10.
func isLinkLocal(a *conntrack.Addr) bool { return a[0] == 0xfe && a[1]&0xc0 == 0x80 }

func isUnspecified(a *conntrack.Addr) bool {
	return *a == conntrack.Addr{} || isMapped(a) && binary.BigEndian.Uint32(a[12:]) == 0
}
