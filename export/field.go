package export

import (
	"encoding/binary"
	"time"

	"github.com/conntally/conntally/flow"
)

// element is an information element as a template names it.
type element struct {
	id, size uint16 // of the IANA registry; octets
	name     string // of the IANA registry
}

// field is one element of the flow templates and how a record fills it. This
// table is the only place that knows: templates, records and their sizes come
// from it.
type field struct {
	element
	// put writes size octets. boot is NetFlow v9's virtual boot time, ms
	// since 1970.
	put func(b []byte, r *flow.Record, boot int64)
}

var be = binary.BigEndian

// The rows of the table, in the groups that the templates are made of.

func addresses4() []field {
	return []field{
		{element{8, 4, "sourceIPv4Address"}, func(b []byte, r *flow.Record, _ int64) { copy(b, r.Src[12:]) }},
		{element{12, 4, "destinationIPv4Address"}, func(b []byte, r *flow.Record, _ int64) { copy(b, r.Dst[12:]) }},
	}
}

func addresses6() []field {
	return []field{
		{element{27, 16, "sourceIPv6Address"}, func(b []byte, r *flow.Record, _ int64) { copy(b, r.Src[:]) }},
		{element{28, 16, "destinationIPv6Address"}, func(b []byte, r *flow.Record, _ int64) { copy(b, r.Dst[:]) }},
	}
}

func common() []field {
	return []field{
		{element{7, 2, "sourceTransportPort"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint16(b, r.SrcPort) }},
		{element{11, 2, "destinationTransportPort"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint16(b, r.DstPort) }},
		{element{4, 1, "protocolIdentifier"}, func(b []byte, r *flow.Record, _ int64) { b[0] = r.Proto }},
		{element{6, 1, "tcpControlBits"}, func(b []byte, r *flow.Record, _ int64) { b[0] = r.TCPFlags }},
		{element{5, 1, "ipClassOfService"}, func(b []byte, _ *flow.Record, _ int64) { b[0] = 0 }}, // conntrack has none
		{element{61, 1, "flowDirection"}, func(b []byte, r *flow.Record, _ int64) { b[0] = direction(r) }},
		{element{10, 4, "ingressInterface"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint32(b, r.Input) }},
		{element{14, 4, "egressInterface"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint32(b, r.Output) }},
		{element{1, 8, "octetDeltaCount"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint64(b, r.Bytes) }},
		{element{2, 8, "packetDeltaCount"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint64(b, r.Packets) }},
	}
}

// times are absolute in IPFIX. nfdump, goflow2 and pmacct agree on NetFlow v9
// times only as uptimes.
func times(p Protocol) []field {
	if p == NetFlow9 {
		return []field{
			{element{22, 4, "flowStartSysUpTime"}, func(b []byte, r *flow.Record, boot int64) { be.PutUint32(b, uptime(r.Start, boot)) }},
			{element{21, 4, "flowEndSysUpTime"}, func(b []byte, r *flow.Record, boot int64) { be.PutUint32(b, uptime(r.End, boot)) }},
		}
	}
	return []field{
		{element{152, 8, "flowStartMilliseconds"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint64(b, uint64(millis(r.Start))) }},
		{element{153, 8, "flowEndMilliseconds"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint64(b, uint64(millis(r.End))) }},
	}
}

func ending() []field {
	return []field{
		{element{136, 1, "flowEndReason"}, func(b []byte, r *flow.Record, _ int64) { b[0] = uint8(r.EndReason) }},
	}
}

// icmp6 differs: NetFlow v9 has one element for ICMP of both families.
func icmp(p Protocol, v6 bool) []field {
	e := element{32, 2, "icmpTypeCodeIPv4"}
	if v6 && p == IPFIX {
		e = element{139, 2, "icmpTypeCodeIPv6"}
	}
	return []field{{e, func(b []byte, r *flow.Record, _ int64) { be.PutUint16(b, r.DstPort) }}}
}

func translation4() []field {
	return append([]field{
		{element{225, 4, "postNATSourceIPv4Address"}, func(b []byte, r *flow.Record, _ int64) { copy(b, r.PostSrc[12:]) }},
		{element{226, 4, "postNATDestinationIPv4Address"}, func(b []byte, r *flow.Record, _ int64) { copy(b, r.PostDst[12:]) }},
	}, translatedPorts()...)
}

func translation6() []field {
	return append([]field{
		{element{281, 16, "postNATSourceIPv6Address"}, func(b []byte, r *flow.Record, _ int64) { copy(b, r.PostSrc[:]) }},
		{element{282, 16, "postNATDestinationIPv6Address"}, func(b []byte, r *flow.Record, _ int64) { copy(b, r.PostDst[:]) }},
	}, translatedPorts()...)
}

func translatedPorts() []field {
	return []field{
		{element{227, 2, "postNAPTSourceTransportPort"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint16(b, r.PostSrcPort) }},
		{element{228, 2, "postNAPTDestinationTransportPort"}, func(b []byte, r *flow.Record, _ int64) { be.PutUint16(b, r.PostDstPort) }},
	}
}

func direction(r *flow.Record) uint8 {
	if r.Egress {
		return 1
	}
	return 0
}

func millis(ns int64) int64 { return ns / int64(time.Millisecond) }

// uptime is ns, since 1970, in ms since boot. What is older than that, which
// the choice of boot makes very old, is put at boot.
func uptime(ns, boot int64) uint32 { return uint32(max(millis(ns)-boot, 0)) }
