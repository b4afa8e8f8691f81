package flow

import (
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// Record is what one direction of a connection moved between Start and End. Its
// fields are those of a NetFlow or IPFIX data record.
type Record struct {
	Src, Dst conntrack.Addr
	// Ports are 0 for protocols without ports. ICMP and ICMPv6 have type<<8 |
	// code in DstPort, as NetFlow does.
	SrcPort, DstPort uint16

	// After NAT. Equal to the above where nothing is rewritten; Translated
	// tells whether any of them is.
	PostSrc, PostDst         conntrack.Addr
	PostSrcPort, PostDstPort uint16
	Translated               bool

	Family   uint8 // AF_INET or AF_INET6
	Proto    uint8 // IP protocol number
	TCPFlags uint8 // derived from the tracked state, see tcpFlags

	Packets, Bytes uint64 // bytes of layer 3, IP header included
	Start, End     int64  // nanoseconds since 1970, Start <= End
	EndReason      EndReason
	At             conntrack.Timestamp // when it was exported

	Input, Output uint32 // ifIndexes, 0 = unknown or the router itself
	Egress        bool   // leaves by an uplink (flowDirection, element 61)

	ID uint64 // of the connection, the same in all its records

	// Midstream reports that a TCP connection's beginning was not seen: which end opened
	// it is not known. It has no SYN in its TCPFlags.
	Midstream bool

	// The conntrack zones of packets as they come in, and of what comes back for them;
	// 0 = none.
	InputZone, OutputZone uint16

	// What Options.Describe adds; 0 = none, or not known.
	InputVLAN, OutputVLAN uint16
	SrcMAC, DstMAC        [6]byte // of the neighbour that sends, and of the one it is for

	// NAT is not 0 in a record that tells of a translation: that it began or ended
	// at Start. Such a record has the addresses and ports of View Wire, for ICMP
	// the identifier as source port, and no counters.
	NAT NATEvent
}

// EndReason says why a record was exported (flowEndReason, element 136).
type EndReason uint8

// The end reasons of the IANA registry of IPFIX information elements.
const (
	EndIdle      EndReason = 1 // idle timeout
	EndActive    EndReason = 2 // active timeout
	EndDetected  EndReason = 3 // end of flow seen: FIN, RST
	EndForced    EndReason = 4 // deleted by hand, or this program stops
	EndResources EndReason = 5 // lack of resources
)

// IsICMP tells whether DstPort holds an ICMP or ICMPv6 type and code.
func (r *Record) IsICMP() bool {
	return r.Proto == conntrack.ProtoICMP || r.Proto == conntrack.ProtoICMPv6
}

// IsIPv6 tells the family.
func (r *Record) IsIPv6() bool { return r.Family == unix.AF_INET6 }

// Moved tells whether the record counts anything.
func (r *Record) Moved() bool { return r.Packets != 0 || r.Bytes != 0 }
