package ctnetlink

import (
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// Attribute types of linux/netfilter/nfnetlink_conntrack.h. Others are skipped.
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
func (s *messageShape) message(a attrs) error {
	for s.step(&a) {
		switch a.typ {
		case ctaTupleOrig:
			a.fail(s.tuple(a.inside(), &s.orig, &s.zones[conntrack.Original]))
		case ctaTupleReply:
			a.fail(s.tuple(a.inside(), &s.reply, &s.zones[conntrack.Reply]))
		case ctaStatus:
			a.value(&s.status, 4)
		case ctaProtoinfo:
			a.fail(s.protoinfo(a.inside()))
		case ctaTimeout:
			a.value(&s.timeout, 4)
		case ctaMark:
			a.value(&s.mark, 4)
		case ctaCountersOrig:
			a.fail(s.counter(a.inside(), &s.counters[conntrack.Original]))
		case ctaCountersReply:
			a.fail(s.counter(a.inside(), &s.counters[conntrack.Reply]))
		case ctaID:
			a.value(&s.id, 4)
		case ctaZone:
			a.value(&s.zones[conntrack.Original], 2)
			s.zones[conntrack.Reply] = s.zones[conntrack.Original]
		case ctaTimestamp:
			a.fail(s.timestamp(a.inside()))
		}
	}
	return a.err
}

// tuple also reads the zone of an entry that has one in this direction only.
func (s *messageShape) tuple(a attrs, t *tupleOffsets, zone *offset) error {
	for s.step(&a) {
		switch a.typ {
		case ctaTupleIP:
			a.fail(s.addresses(a.inside(), t))
		case ctaTupleProto:
			a.fail(s.ports(a.inside(), t))
		case ctaTupleZone:
			a.value(zone, 2)
		}
	}
	return a.err
}

func (s *messageShape) addresses(a attrs, t *tupleOffsets) error {
	for s.step(&a) {
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

func (s *messageShape) ports(a attrs, t *tupleOffsets) error {
	for s.step(&a) {
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

func (s *messageShape) counter(a attrs, c *counterOffsets) error {
	s.counted = true
	for s.step(&a) {
		switch a.typ {
		case ctaCountersPkts:
			a.value(&c.packets, 8)
		case ctaCountersBytes:
			a.value(&c.bytes, 8)
		}
	}
	return a.err
}

func (s *messageShape) timestamp(a attrs) error {
	for s.step(&a) {
		switch a.typ {
		case ctaTimestampStart:
			a.value(&s.start, 8)
		case ctaTimestampStop:
			a.value(&s.stop, 8)
		}
	}
	return a.err
}

func (s *messageShape) protoinfo(outer attrs) error {
	for s.step(&outer) {
		if outer.typ == 0 || outer.typ > ctaProtoinfoLast {
			continue
		}
		a := outer.inside()
		for s.step(&a) {
			switch tcp := outer.typ == ctaProtoinfoTCP; {
			case a.typ == ctaProtoinfoState:
				a.value(&s.state, 1)
			case tcp && a.typ == ctaTCPFlagsOriginal:
				a.value(&s.tcpFlags[conntrack.Original], 2)
			case tcp && a.typ == ctaTCPFlagsReply:
				a.value(&s.tcpFlags[conntrack.Reply], 2)
			}
		}
		outer.fail(a.err)
	}
	return outer.err
}
