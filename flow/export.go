package flow

import (
	"fmt"

	"github.com/conntally/conntally/conntrack"
)

// View says which addresses a record shows where NAT rewrites them.
type View uint8

const (
	// Endpoints shows the two real ends in both directions, so that a reply
	// is tied to the host behind the NAT.
	Endpoints View = iota
	// Wire shows each direction as it enters the router.
	Wire
)

// ParseView reads "endpoints" or "wire".
func ParseView(s string) (View, error) {
	switch s {
	case "endpoints":
		return Endpoints, nil
	case "wire":
		return Wire, nil
	}
	return 0, fmt.Errorf("%q is not a NAT view: endpoints or wire", s)
}

// String returns what ParseView reads.
func (v View) String() string {
	if v == Wire {
		return "wire"
	}
	return "endpoints"
}

// export sends what is pending of both directions, if anything is.
func (t *Table) export(en *entry, reason EndReason, now conntrack.Timestamp) {
	if !en.hasPending() {
		return
	}
	records := uint64(0)
	for d := range t.pair {
		t.describe(&t.pair[d], en, conntrack.Direction(d), reason, now)
		if t.pair[d].Moved() {
			records++
		}
	}
	t.sink.Export(&t.pair)
	en.pending = [2]conntrack.Counters{}
	t.Stats.Records.Add(records)
	en.begun = true
}

// describe fills in the record of one direction.
func (t *Table) describe(r *Record, en *entry, d conntrack.Direction, reason EndReason, now conntrack.Timestamp) {
	*r = Record{
		Family: en.key.Orig.Family, Proto: en.key.Orig.Proto,
		Packets: en.pending[d].Packets, Bytes: en.pending[d].Bytes,
		Start: toWall(en.begin, now), End: toWall(max(en.begin, en.moved), now),
		EndReason: reason, At: now,
		Input: en.path[d].Index(), Output: en.path[1-d].Index(), Egress: en.path[1-d].Uplink(),
		ID: en.id(), Midstream: en.midstream, InputZone: en.zone(d), OutputZone: en.zone(1 - d),
	}
	if t.options.NAT == Wire {
		r.wire(&en.key.Orig, &en.reply, d)
	} else {
		r.endpoints(&en.key.Orig, &en.reply, d)
	}
	switch {
	case r.Proto == conntrack.ProtoTCP:
		r.TCPFlags = tcpFlags(en, d)
	case r.IsICMP():
		r.icmp(&en.key.Orig, &en.reply, d)
	case r.Proto == conntrack.ProtoGRE:
		r.withoutPorts()
	}
	r.Translated = r.Src != r.PostSrc || r.Dst != r.PostDst || r.SrcPort != r.PostSrcPort || r.DstPort != r.PostDstPort
	if t.options.Describe != nil {
		t.options.Describe(r)
	}
}

// endpoints shows the two real ends. The translation stands in the record whose
// source is rewritten on its way out.
func (r *Record) endpoints(orig, reply *conntrack.Tuple, d conntrack.Direction) {
	if d == conntrack.Original {
		r.between(orig, reply)
		r.PostSrc, r.PostSrcPort = reply.Dst, reply.DstPort
	} else {
		r.between(reply, orig)
		r.PostSrc, r.PostSrcPort = orig.Dst, orig.DstPort
	}
	r.PostDst, r.PostDstPort = r.Dst, r.DstPort
}

func (r *Record) between(from, to *conntrack.Tuple) {
	r.Src, r.SrcPort = from.Src, from.SrcPort
	r.Dst, r.DstPort = to.Src, to.SrcPort
}

// icmp takes the type and code of a direction's own tuple, and leaves the
// identifier out: it is no port.
func (r *Record) icmp(orig, reply *conntrack.Tuple, d conntrack.Direction) {
	typeCode := orig.DstPort
	if d == conntrack.Reply {
		typeCode = reply.DstPort
	}
	r.SrcPort, r.PostSrcPort = 0, 0
	r.DstPort, r.PostDstPort = typeCode, typeCode
}

// withoutPorts leaves out what GRE has in their place: the call ids of PPTP.
func (r *Record) withoutPorts() {
	r.SrcPort, r.DstPort, r.PostSrcPort, r.PostDstPort = 0, 0, 0, 0
}

// wire shows a direction as it enters the router, and after NAT as it leaves: as
// the opposite of what comes back.
func (r *Record) wire(orig, reply *conntrack.Tuple, d conntrack.Direction) {
	in, back := orig, reply
	if d == conntrack.Reply {
		in, back = reply, orig
	}
	r.Src, r.SrcPort, r.Dst, r.DstPort = in.Src, in.SrcPort, in.Dst, in.DstPort
	r.PostSrc, r.PostSrcPort, r.PostDst, r.PostDstPort = back.Dst, back.DstPort, back.Src, back.SrcPort
}
