package flow

import "github.com/conntally/conntally/conntrack"

// NATEvent says what a record tells of a translation; 0: it is a flow's.
type NATEvent uint8

// The NAT events.
const (
	NATCreate NATEvent = iota + 1
	NATDelete
)

// endNAT tells when a connection's translation ended: its addresses and ports are free
// from then on.
func (t *Table) endNAT(en *entry, e *conntrack.Event) {
	t.exportNATEvent(en, NATDelete, goneAt(e), e.At)
}

// goneAt returns when an entry went of which e tells the end.
func goneAt(e *conntrack.Event) int64 {
	if e.Stop <= 0 {
		return e.At.Mono
	}
	return toMono(e.Stop, e.At)
}

// exportNATEvent exports what became of a translation at a moment of the monotonic clock.
func (t *Table) exportNATEvent(en *entry, what NATEvent, at int64, now conntrack.Timestamp) {
	orig, reply := &en.key.Orig, &en.reply
	if !t.options.NATEvents || !translated(orig, reply) {
		return
	}
	t.pair = Pair{}
	r := &t.pair[conntrack.Original]
	*r = Record{
		Family: orig.Family, Proto: orig.Proto, NAT: what, ID: en.id(), Translated: true,
		Start: toWall(at, now), End: toWall(at, now), At: now,
		Input: en.path[conntrack.Original].Index(), Output: en.path[conntrack.Reply].Index(),
	}
	r.wire(orig, reply, conntrack.Original)
	switch {
	case r.IsICMP():
		r.SrcPort, r.PostSrcPort = orig.SrcPort, reply.SrcPort
		r.DstPort, r.PostDstPort = 0, 0
	case r.Proto == conntrack.ProtoGRE:
		r.withoutPorts()
	}
	t.sink.Export(&t.pair)
}

// translated tells whether NAT rewrites anything. ICMP has an identifier where
// others have a source port, the same in both directions.
func translated(orig, reply *conntrack.Tuple) bool {
	if orig.Src != reply.Dst || orig.Dst != reply.Src {
		return true
	}
	if orig.IsICMP() {
		return orig.SrcPort != reply.SrcPort
	}
	return orig.SrcPort != reply.DstPort || orig.DstPort != reply.SrcPort
}
