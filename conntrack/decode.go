package conntrack

import "golang.org/x/sys/unix"

// Attribute types of linux/netfilter/nfnetlink_conntrack.h. Those not named
// here are skipped.
const (
	ctaTupleOrig     = 1
	ctaTupleReply    = 2
	ctaStatus        = 3
	ctaProtoinfo     = 4
	ctaTimeout       = 7
	ctaMark          = 8
	ctaCountersOrig  = 9
	ctaCountersReply = 10
	ctaID            = 12
	ctaZone          = 18
	ctaTimestamp     = 20

	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaTupleZone  = 3

	ctaIPv4Src = 1
	ctaIPv4Dst = 2
	ctaIPv6Src = 3
	ctaIPv6Dst = 4

	ctaProtoNum      = 1
	ctaProtoSrcPort  = 2
	ctaProtoDstPort  = 3
	ctaICMPID        = 4
	ctaICMPType      = 5
	ctaICMPCode      = 6
	ctaICMPv6ID      = 7
	ctaICMPv6Type    = 8
	ctaICMPv6Code    = 9
	ctaCountersPkts  = 1
	ctaCountersBytes = 2

	ctaTimestampStart = 1
	ctaTimestampStop  = 2

	// All of PROTOINFO's TCP (1), DCCP (2) and SCTP (3) begin with the state.
	ctaProtoinfoLast  = 3
	ctaProtoinfoState = 1
)

// Decode reads the attributes of one ctnetlink message, which begin after its
// nfgenmsg header, into e. It leaves Kind, At and Portid alone and keeps no
// part of b. The error is ErrMalformed; e is then of no use.
func (e *Event) Decode(b []byte) error {
	kind, at, portid := e.Kind, e.At, e.Portid
	*e = Event{} // and not of the three, which would copy it once more
	e.Kind, e.At, e.Portid = kind, at, portid
	a := attrs{rest: b}
	for a.next() {
		switch a.typ {
		case ctaTupleOrig:
			a.fail(e.decodeTuple(a.value, &e.Orig))
		case ctaTupleReply:
			a.fail(e.decodeTuple(a.value, &e.Reply))
		case ctaStatus:
			e.Status = Status(a.u32())
		case ctaProtoinfo:
			a.fail(e.decodeProtoinfo(a.value))
		case ctaTimeout:
			e.Timeout, e.HasTimeout = a.u32(), true
		case ctaMark:
			e.Mark = a.u32()
		case ctaCountersOrig:
			a.fail(e.decodeCounters(a.value, Original))
		case ctaCountersReply:
			a.fail(e.decodeCounters(a.value, Reply))
		case ctaID:
			e.ID = a.u32()
		case ctaZone:
			e.Zone = a.u16()
		case ctaTimestamp:
			a.fail(e.decodeTimestamp(a.value))
		}
	}
	if a.err == nil && (e.Orig.Family == 0 || e.Reply.Family == 0) {
		return ErrMalformed
	}
	return a.err
}

// decodeTuple also takes the zone of an entry that has one in one direction.
func (e *Event) decodeTuple(b []byte, t *Tuple) error {
	if t.fixed(b) {
		return nil
	}
	return e.walkTuple(b, t)
}

func (e *Event) walkTuple(b []byte, t *Tuple) error {
	a := attrs{rest: b}
	for a.next() {
		switch a.typ {
		case ctaTupleIP:
			a.fail(t.decodeIP(a.value))
		case ctaTupleProto:
			a.fail(t.decodeProto(a.value))
		case ctaTupleZone:
			e.Zone = a.u16()
		}
	}
	return a.err
}

func (t *Tuple) decodeIP(b []byte) error {
	a := attrs{rest: b}
	for a.next() {
		switch a.typ {
		case ctaIPv4Src:
			t.Src, t.Family = a.addr4(), unix.AF_INET
		case ctaIPv4Dst:
			t.Dst, t.Family = a.addr4(), unix.AF_INET
		case ctaIPv6Src:
			t.Src, t.Family = a.addr16(), unix.AF_INET6
		case ctaIPv6Dst:
			t.Dst, t.Family = a.addr16(), unix.AF_INET6
		}
	}
	return a.err
}

func (t *Tuple) decodeProto(b []byte) error {
	a := attrs{rest: b}
	for a.next() {
		switch a.typ {
		case ctaProtoNum:
			t.Proto = a.u8()
		case ctaProtoSrcPort, ctaICMPID, ctaICMPv6ID:
			t.SrcPort = a.u16()
		case ctaProtoDstPort:
			t.DstPort = a.u16()
		case ctaICMPType, ctaICMPv6Type:
			t.DstPort |= uint16(a.u8()) << 8
		case ctaICMPCode, ctaICMPv6Code:
			t.DstPort |= uint16(a.u8())
		}
	}
	return a.err
}

func (e *Event) decodeCounters(b []byte, d Direction) error {
	c := &e.Counters[d]
	e.Counted = true
	if packets, bytes, ok := fixedPair(b); ok {
		*c = Counters{packets, bytes}
		return nil
	}
	a := attrs{rest: b}
	for a.next() {
		switch a.typ {
		case ctaCountersPkts:
			c.Packets = a.u64()
		case ctaCountersBytes:
			c.Bytes = a.u64()
		}
	}
	return a.err
}

func (e *Event) decodeTimestamp(b []byte) error {
	if start, stop, ok := fixedPair(b); ok {
		e.Start, e.Stop = int64(start), int64(stop)
		return nil
	}
	a := attrs{rest: b}
	for a.next() {
		switch a.typ {
		case ctaTimestampStart:
			e.Start = int64(a.u64())
		case ctaTimestampStop:
			e.Stop = int64(a.u64())
		}
	}
	return a.err
}

func (e *Event) decodeProtoinfo(b []byte) error {
	outer := attrs{rest: b}
	for outer.next() {
		if outer.typ == 0 || outer.typ > ctaProtoinfoLast {
			continue
		}
		a := attrs{rest: outer.value}
		for a.next() {
			if a.typ == ctaProtoinfoState {
				e.State = a.u8()
			}
		}
		outer.fail(a.err)
	}
	return outer.err
}
