package decode

import (
	"net/netip"
	"time"
)

// A Message is what one datagram said.
type Message struct {
	Exporter netip.AddrPort // the UDP source, IPv4 unmapped
	Version  uint16         // 9 or 10 (IPFIX); 0 = the header could not be read
	// observation domain id (RFC 7011, 3.1); v9: source id (RFC 3954, 5.1)
	Domain uint32
	// IPFIX: data records sent before this message; v9: datagrams. So it is also of an exporter that
	// counts otherwise, if that is noticed: then Rebased says that the last message had another
	// number for it.
	Sequence   uint32
	Units      uint32 // that this message adds to Sequence, as far as it could be read
	Rebased    bool
	ExportTime time.Time // UTC, whole seconds

	Flows     []Flow
	NATEvents []NATEvent
	// of flows, events and options: a record of both directions is two flows
	DataRecords   int
	OptionRecords int // data records of options templates
	// 1 packet in so many (34), from an option record; 0 = not in this message
	SamplingInterval uint32
	Interfaces       []Interface // that an option record names (10, 82, 83)
	Templates        int         // templates and options templates read
	UnknownSets      int         // data sets skipped for want of their template
	Held             int         // data sets of this source that wait for their template
	Recovered        int         // data records of earlier messages that had waited for it

	Missed uint32 // what the sequence lacks before this message, in the units of Sequence
	Late   bool   // the message belongs before one that has come already

	incomplete bool // DataRecords are not all, as a template is missing
}

// An Interface is one of the exporter's.
type Interface struct {
	Index             uint32
	Name, Description string
}

// A Flow is one data record, or one direction of a record of both (RFC 5103): a field that its
// template doesn't have is zero.
type Flow struct {
	Exporter netip.AddrPort
	Version  uint16 // 9 or 10 (IPFIX)
	Domain   uint32
	Template uint16

	Src, Dst         netip.Addr // 8, 12, 27, 28
	SrcPort, DstPort uint16     // 7, 11; DstPort is 0 for ICMP
	// after NAT (225, 226, 281, 282); the zero Addr = not translated
	PostSrc, PostDst         netip.Addr
	PostSrcPort, PostDstPort uint16 // 227, 228

	Protocol           uint8 // 4
	TCPFlags           uint8 // 6, the low eight bits
	ToS                uint8 // 5
	ICMPType, ICMPCode uint8 // 32, 139, or from the destination port
	Direction          uint8 // 61: 0 ingress, 1 egress

	Input, Output  uint32 // ifIndex (10, 14)
	Packets, Bytes uint64 // 2 and 1, or the totals 86 and 85

	Start, End time.Time // UTC, to the millisecond; zero = not said, or past the year 9999
	// 136: 1 idle, 2 active timeout, 3 end detected, 4 forced, 5 lack of resources
	EndReason uint8

	FlowID         uint64  // 148
	VLAN, PostVLAN uint16  // 58, 59
	SrcMAC, DstMAC [6]byte // 56, 57

	InputZone, OutputZone uint32 // 234, 235
	// 239: 1 the source opened the connection, 2 the destination did, 0 not known
	BiflowDirection uint8
	Mark            uint64 // pmacct's tag (enterprise 43874, element 1)
}
