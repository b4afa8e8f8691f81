package route

import (
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// end is one end of a connection and how it is reached.
type end struct {
	addr *conntrack.Addr
	atom number // the first of the addresses that are routed alike
	answer
	asked   question // for that answer
	others  bool     // it is for packets from the other end, else for anybody's
	settled bool     // by the zone, whatever routes say
}

// at makes e, which is zero, the end with an address.
func (e *end) at(addr *conntrack.Addr, v *view) {
	e.addr, e.atom = addr, v.atoms.of(numberOf(addr))
}

// Path implements flow.RouteResolver.
//
// One end is taken to be inside: the one that opened the connection, or the one that a
// forwarded port leads to; if that is behind an uplink, the other one. The route to the end
// outside is that of a packet from inside, with the connection's mark. Where there are several
// uplinks, the address of ours that a peer talks to says more than routes do: it belongs to
// one of them.
func (r *Resolver) Path(e *conntrack.Event) flow.Path {
	r.look()
	k, mark := &r.known[knownPlace(e)], e.Mark&r.marks
	if k.hits > 0 && k.is(e, mark, r.seen.version) {
		r.Stats.Hits.Add(uint64(k.hits))
		return k.path
	}
	r.hits, r.asked = 0, false
	path := r.path(e)
	r.Stats.Hits.Add(uint64(r.hits))
	if !r.asked && e.Zone|e.ReplyZone == 0 { // what depends on ports is asked each time
		*k = knownPath{
			src: e.Orig.Src, dst: e.Orig.Dst, replySrc: e.Reply.Src, replyDst: e.Reply.Dst,
			mark: mark, version: r.seen.version, path: path, hits: r.hits,
		}
	}
	return path
}

func (r *Resolver) path(e *conntrack.Event) flow.Path {
	if isLinkLocal(&e.Orig.Src) || isLinkLocal(&e.Reply.Src) {
		return within(r.seen.neighbours(e))
	}
	var ends [2]end
	opener, peer := &ends[0], &ends[1]
	opener.at(&e.Orig.Src, r.seen)
	peer.at(&e.Reply.Src, r.seen)
	if peer.addr.IsGroup() {
		return within(r.toGroup(opener, peer))
	}
	inner, outer := opener, peer
	if e.Orig.Dst != e.Reply.Src {
		inner, outer = outer, inner
	}
	r.find(inner, outer, e)
	path := flow.Path{r.seen.towards(opener, peer), r.seen.towards(peer, opener)}
	if path[0].Uplink() && path[1].Uplink() && !translated(e) && r.byDefault(opener, peer, e) &&
		r.byDefault(peer, opener, e) {
		return flow.Path{} // bridged: nothing is routed from the Internet to the Internet
	}
	r.seen.correct(&path[conntrack.Original], &e.Orig.Dst)
	r.seen.correct(&path[conntrack.Reply], &e.Reply.Dst)
	return within(path)
}

func translated(e *conntrack.Event) bool {
	return e.Orig.Src != e.Reply.Dst || e.Orig.Dst != e.Reply.Src
}

// within replaces a path without any interface by lo, which packets of the router to itself
// pass: some collectors drop records that name no interface.
func within(path flow.Path) flow.Path {
	if path == (flow.Path{}) {
		path[conntrack.Original] = flow.NewHop(loopback, false)
	}
	return path
}

// find asks for the routes to both ends.
func (r *Resolver) find(inner, outer *end, e *conntrack.Event) {
	r.plain(inner)
	zoned := e.Zone|e.ReplyZone != 0
	if zoned {
		r.inZone(inner, e)
	}
	if inner.hop.Uplink() {
		inner, outer = outer, inner
		r.plain(inner)
		if zoned {
			r.inZone(inner, e)
		}
	}
	r.from(inner, outer, e, e.Mark&r.marks)
	r.from(outer, inner, e, 0)
}

// plain asks for the route to an end, no matter who sends.
func (r *Resolver) plain(to *end) { r.anybodys(to, 0) }

// anybodys asks for the route of packets with a mark, from any sender.
func (r *Resolver) anybodys(to *end, mark uint32) {
	if to.addr.IsUnspecified() || to.addr.IsGroup() {
		to.answer = answer{kind: nowhere}
		return
	}
	to.asked, to.others = question{mark: mark}, false
	to.answer = r.ask(to, nil, to.asked)
}

// from asks for the route that packets of the sender take. Where the sender has no such
// route, anybody's counts: the reverse path filter may be what refuses it.
func (r *Resolver) from(sender, to *end, e *conntrack.Event, mark uint32) {
	if to.settled {
		return
	}
	if v := r.seen; (v.bySender || v.byFlow) && !to.addr.IsUnspecified() && !to.addr.IsGroup() {
		q := question{mark: mark}
		if v.byFlow {
			r.ports = portsTowards(e, to)
		}
		switch sender.kind {
		case unicast:
			q.in = sender.hop.Index()
			fallthrough
		case local:
			a := r.ask(to, sender, q)
			if a.kind > nowhere {
				to.answer, to.asked, to.others = a, q, true
				return
			}
		}
	}
	if mark != 0 || to.kind == unknown {
		r.anybodys(to, mark)
	}
}

// byDefault reports whether it is a default route alone that leads to an end.
func (r *Resolver) byDefault(to, other *end, e *conntrack.Event) bool {
	q := to.asked
	q.prefix = true
	if !to.others {
		other = nil
	}
	r.ports = portsTowards(e, to)
	return r.ask(to, other, q).kind == defaultRoute
}

// toGroup returns the path of a multicast or broadcast. The kernel has no unicast route
// for groups; it routes them by streams, or delivers them to the members.
func (r *Resolver) toGroup(sender, to *end) (path flow.Path) {
	r.plain(sender)
	routed, ok := r.seen.multicast[stream{*sender.addr, *to.addr}]
	if !ok {
		anybody := everything(unix.AF_INET6, 0)
		if isMapped(to.addr) {
			anybody = everything(unix.AF_INET, 0)
		}
		routed = r.seen.multicast[stream{anybody.addr, *to.addr}]
	}
	switch sender.kind {
	case unicast:
		if path = routed; routed[conntrack.Original] == 0 {
			path[conntrack.Original] = sender.hop
		}
	case local:
		path[conntrack.Reply] = routed[conntrack.Reply]
		if path[conntrack.Reply] == 0 {
			path[conntrack.Reply] = r.seen.hop(r.seen.owners[*sender.addr])
		}
		if path[conntrack.Reply] == 0 {
			path[conntrack.Reply] = r.lookUp(&query{to: to.addr, from: sender.addr}).hop
		}
	default:
		path = routed
	}
	return path
}

// towards returns the interface by which packets from the other end leave.
func (v *view) towards(to, other *end) flow.Hop {
	switch {
	case to.kind == unicast:
		return to.hop
	case to.kind == group && other.kind == local: // otherwise the router itself listens
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
	if at := upTo(v.uplinkAddresses, n); at > 0 && v.uplinkAddresses[at-1] == n {
		*hop = v.uplinkHops[at-1]
	}
}

// neighbours returns the path between link-local addresses: it is never forwarded, so the
// interface is that of the router's own address.
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

// isLinkLocal reports whether an address is of fe80::/10.
func isLinkLocal(a *conntrack.Addr) bool { return a[0] == 0xfe && a[1]&0xc0 == 0x80 }
