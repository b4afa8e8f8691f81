package ctnetlink

import (
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

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
	ctaProtoinfoTCP   = 1

	ctaTCPFlagsOriginal = 4 // struct nf_ct_tcp_flags: flags and mask
	ctaTCPFlagsReply    = 5
)

// message walks over the attributes of a message.
func (l *shape) message(a attrs) error {
	for l.step(&a) {
		switch a.typ {
		case ctaTupleOrig:
			a.fail(l.tuple(a.inside(), &l.orig, &l.zones[conntrack.Original]))
		case ctaTupleReply:
			a.fail(l.tuple(a.inside(), &l.reply, &l.zones[conntrack.Reply]))
		case ctaStatus:
			a.value(&l.status, 4)
		case ctaProtoinfo:
			a.fail(l.protoinfo(a.inside()))
		case ctaTimeout:
			a.value(&l.timeout, 4)
		case ctaMark:
			a.value(&l.mark, 4)
		case ctaCountersOrig:
			a.fail(l.counter(a.inside(), &l.counters[conntrack.Original]))
		case ctaCountersReply:
			a.fail(l.counter(a.inside(), &l.counters[conntrack.Reply]))
		case ctaID:
			a.value(&l.id, 4)
		case ctaZone:
			a.value(&l.zones[conntrack.Original], 2)
			l.zones[conntrack.Reply] = l.zones[conntrack.Original]
		case ctaTimestamp:
			a.fail(l.timestamp(a.inside()))
		}
	}
	return a.err
}

// tuple also takes the zone of an entry that has one in this direction alone.
func (l *shape) tuple(a attrs, t *tupleOffsets, zone *offset) error {
	for l.step(&a) {
		switch a.typ {
		case ctaTupleIP:
			a.fail(l.addresses(a.inside(), t))
		case ctaTupleProto:
			a.fail(l.ports(a.inside(), t))
		case ctaTupleZone:
			a.value(zone, 2)
		}
	}
	return a.err
}

func (l *shape) addresses(a attrs, t *tupleOffsets) error {
	for l.step(&a) {
		switch a.typ {
		case ctaIPv4Src:
			t.address(&a, &t.src, unix.AF_INET)
		case ctaIPv4Dst:
			t.address(&a, &t.dst, unix.AF_INET)
		case ctaIPv6Src:
			t.address(&a, &t.src, unix.AF_INET6)
		case ctaIPv6Dst:
			t.address(&a, &t.dst, unix.AF_INET6)
		}
	}
	return a.err
}

func (t *tupleOffsets) address(a *attrs, at *addrOffset, family uint8) {
	t.family, at.v6 = family, family == unix.AF_INET6
	width := 4
	if at.v6 {
		width = 16
	}
	a.value(&at.at, width)
}

func (l *shape) ports(a attrs, t *tupleOffsets) error {
	for l.step(&a) {
		switch a.typ {
		case ctaProtoNum:
			a.value(&t.proto, 1)
		case ctaProtoSrcPort, ctaICMPID, ctaICMPv6ID:
			a.value(&t.srcPort, 2)
		case ctaProtoDstPort:
			a.value(&t.dstPort, 2)
		case ctaICMPType, ctaICMPv6Type:
			a.value(&t.icmpType, 1)
		case ctaICMPCode, ctaICMPv6Code:
			a.value(&t.icmpCode, 1)
		}
	}
	return a.err
}

func (l *shape) counter(a attrs, c *counterOffsets) error {
	l.counted = true
	for l.step(&a) {
		switch a.typ {
		case ctaCountersPkts:
			a.value(&c.packets, 8)
		case ctaCountersBytes:
			a.value(&c.bytes, 8)
		}
	}
	return a.err
}

func (l *shape) timestamp(a attrs) error {
	for l.step(&a) {
		switch a.typ {
		case ctaTimestampStart:
			a.value(&l.start, 8)
		case ctaTimestampStop:
			a.value(&l.stop, 8)
		}
	}
	return a.err
}

func (l *shape) protoinfo(outer attrs) error {
	for l.step(&outer) {
		if outer.typ == 0 || outer.typ > ctaProtoinfoLast {
			continue
		}
		a := outer.inside()
		for l.step(&a) {
			switch tcp := outer.typ == ctaProtoinfoTCP; {
			case a.typ == ctaProtoinfoState:
				a.value(&l.state, 1)
			case tcp && a.typ == ctaTCPFlagsOriginal:
				a.value(&l.tcpFlags[conntrack.Original], 2)
			case tcp && a.typ == ctaTCPFlagsReply:
				a.value(&l.tcpFlags[conntrack.Reply], 2)
			}
		}
		outer.fail(a.err)
	}
	return outer.err
}
