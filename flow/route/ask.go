package route

import (
	"errors"

	"github.com/conntally/conntally/conntrack"
)

// question is what the route to an end may depend on besides its address and the sender's.
type question struct {
	in, mark uint32
	prefix   bool
}

// ask returns the route that packets of a sender take to an end; a nil sender is anybody. The
// answer is cached until routes change, for all addresses that are routed as these two are.
func (r *Resolver) ask(to, sender *end, q question) answer {
	k := key{to: to.atom, mark: q.mark, in: q.in}
	if q.prefix {
		k.in |= prefixBit
	}
	if sender != nil {
		k.from = sender.atom
		if r.seen.byFlow {
			return r.lookUp(&query{to: to.addr, from: sender.addr, in: q.in, mark: q.mark,
				prefix: q.prefix, ports: &r.ports})
		}
	}
	if a, known := r.cache.find(&k); known {
		r.hits++
		return a
	}
	full := query{to: to.addr, in: q.in, mark: q.mark, prefix: q.prefix}
	if sender != nil {
		full.from = sender.addr
	}
	a := r.lookUp(&full)
	// a route that refuses one sender may accept others
	if a.kind > nowhere || a.kind == nowhere && sender == nil {
		r.cache.add(&k, a)
	}
	return a
}

// lookUp asks the kernel. The kind is unknown if it couldn't be asked.
func (r *Resolver) lookUp(q *query) answer {
	r.asked = true
	r.Stats.Lookups.Add(1)
	kind, index, err := r.fib.lookUp(q)
	if errors.Is(err, errSocket) {
		r.Stats.Failures.Add(1)
		return answer{}
	}
	if err != nil {
		r.Stats.Unreachable.Add(1)
	}
	if kind == unicast || kind == group {
		return answer{kind, r.seen.hop(index)}
	}
	return answer{kind: kind}
}

// portsTowards returns the protocol and ports of packets to an end, by which rules and next
// hops may choose.
func portsTowards(e *conntrack.Event, to *end) conntrack.Tuple {
	if to.addr == &e.Reply.Src { // before SNAT and behind DNAT
		return conntrack.Tuple{Proto: e.Orig.Proto, SrcPort: e.Orig.SrcPort,
			DstPort: e.Reply.SrcPort}
	}
	return conntrack.Tuple{Proto: e.Orig.Proto, SrcPort: e.Reply.SrcPort, DstPort: e.Orig.SrcPort}
}
