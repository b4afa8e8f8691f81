package flow

import (
	"fmt"

	"github.com/conntally/conntally/conntrack"
)

// View selects which addresses a record shows where NAT rewrites them.
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

// exportLiving exports what is pending of a flow that may continue, if anything is. The
// checkpoint comes first: exporting may send earlier records together with this one.
func (t *Table) exportLiving(en *entry, reason EndReason, now conntrack.Timestamp) {
	if en.hasPending() {
		t.checkpoint(en)
		t.export(en, reason, now)
	}
}

// export exports what is pending of both directions. Something must be.
func (t *Table) export(en *entry, reason EndReason, now conntrack.Timestamp) {
	p := &t.pair
	records := t.describe(&p[conntrack.Original], en, conntrack.Original, reason, now) +
		t.describe(&p[conntrack.Reply], en, conntrack.Reply, reason, now)
	t.sink.Export(p)
	en.pending = [2]conntrack.Counters{}
	t.Stats.Records.Add(records)
	en.beginExported = true
}

// describe fills in the record of one direction, and returns 1 if that has moved anything, else 0.
func (t *Table) describe(
	r *Record, en *entry, d conntrack.Direction, reason EndReason, now conntrack.Timestamp,
) (records uint64) {
	*r = Record{}
	r.At, r.Packets, r.Bytes = now, en.pending[d].Packets, en.pending[d].Bytes
	if r.Moved() {
		records = 1
	} else if !t.options.Biflow {
		return 0
	}
	r.Family, r.Proto = en.key.Orig.Family, en.key.Orig.Proto
	r.Start, r.End = toWall(en.start, now), toWall(max(en.start, en.lastPacket), now)
	r.EndReason, r.ID, r.Midstream = reason, en.id(), en.midstream
	in, out := en.path[d], en.path[1-d]
	r.Input, r.Output, r.Egress = in.Index(), out.Index(), out.Uplink()
	r.InputZone, r.OutputZone, r.Mark = en.zone(d), en.zone(1-d), en.mark
	r.Seen = en.basis >= asRoutes
	if r.Seen && d == conntrack.Original {
		r.ToS, r.InputVLAN, r.SrcMAC = en.tos, en.vlan, en.mac
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
	r.Translated = r.Src != r.PostSrc || r.Dst != r.PostDst ||
		r.SrcPort != r.PostSrcPort || r.DstPort != r.PostDstPort
	if t.options.Describe != nil {
		t.options.Describe(r)
	}
	return records
}

// endpoints shows the two real ends. The translation is in the record whose
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

// withoutPorts leaves out the ports of GRE, which are call IDs of PPTP.
func (r *Record) withoutPorts() {
	r.SrcPort, r.DstPort, r.PostSrcPort, r.PostDstPort = 0, 0, 0, 0
}

// wire shows a direction as it enters the router, and after NAT as it leaves: that is the
// opposite of the other direction as it enters.
func (r *Record) wire(orig, reply *conntrack.Tuple, d conntrack.Direction) {
	in, back := orig, reply
	if d == conntrack.Reply {
		in, back = reply, orig
	}
	r.Src, r.SrcPort, r.Dst, r.DstPort = in.Src, in.SrcPort, in.Dst, in.DstPort
	r.PostSrc, r.PostSrcPort = back.Dst, back.DstPort
	r.PostDst, r.PostDstPort = back.Src, back.SrcPort
}

// exportNATEvent exports that a translation, if there is any, began or ended at a time of the
// monotonic clock.
func (t *Table) exportNATEvent(en *entry, what NATEvent, at int64, now conntrack.Timestamp) {
	if t.options.NATEvents {
		t.exportTranslation(en, what, at, now)
	}
}

func (t *Table) exportTranslation(en *entry, what NATEvent, at int64, now conntrack.Timestamp) {
	orig, reply := &en.key.Orig, &en.reply
	if !translated(orig, reply) {
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

// translated reports whether NAT rewrites anything. ICMP has an identifier where
// others have a source port, the same in both directions.
func translated(orig, reply *conntrack.Tuple) bool {
	ports := orig.SrcPort != reply.DstPort || orig.DstPort != reply.SrcPort
	if orig.IsICMP() {
		ports = orig.SrcPort != reply.SrcPort
	}
	return ports || orig.Src != reply.Dst || orig.Dst != reply.Src
}

// TCP flags (tcpControlBits, element 6).
const (
	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpACK = 0x10
)

// tcpFlags derives the flags that a direction must have carried from the state that
// the kernel tracked: it doesn't keep the flags themselves. SYN is in the first record
// only, and not in that of a connection whose beginning was not seen. FIN and RST are in
// both directions, since the state doesn't show which side sent them.
func tcpFlags(en *entry, d conntrack.Direction) (flags uint8) {
	if !en.beginExported && !en.midstream {
		flags = tcpSYN
	}
	switch en.state {
	case 0: // offloaded
		flags = tcpACK
	case conntrack.TCPSynSent, conntrack.TCPSynSent2:
		if d == conntrack.Reply { // the only answer that keeps this state
			flags = tcpRST | tcpACK
		}
	case conntrack.TCPSynRecv:
		if d == conntrack.Reply {
			flags |= tcpACK
		}
	case conntrack.TCPFinWait, conntrack.TCPCloseWait, conntrack.TCPLastAck, conntrack.TCPTimeWait:
		flags |= tcpACK | tcpFIN
	case conntrack.TCPClose:
		flags |= tcpACK | tcpRST
	default:
		flags |= tcpACK
	}
	return flags
}
