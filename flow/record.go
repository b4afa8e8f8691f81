package flow

import (
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// Pair is what one connection moved in its original and in its reply direction. One of them may
// have moved nothing: then, without Options.Biflow, it has no more than At. If NAT of the original
// direction is set, the pair is that event, and the reply direction is empty.
type Pair [2]Record

// At returns when the pair was exported.
func (p *Pair) At() conntrack.Timestamp { return p[conntrack.Original].At }

// Record is what one direction of a connection moved between Start and End. Its
// fields are those of a NetFlow or IPFIX data record.
type Record struct {
	Src, Dst conntrack.Addr
	// Ports are 0 for protocols without ports. ICMP and ICMPv6 have type<<8 |
	// code in DstPort, as NetFlow does.
	SrcPort, DstPort uint16

	// After NAT. Equal to the above if nothing is rewritten; Translated reports whether any of
	// them is.
	PostSrc, PostDst         conntrack.Addr
	PostSrcPort, PostDstPort uint16
	Translated               bool

	Family    uint8 // AF_INET or AF_INET6
	Proto     uint8 // IP protocol number
	TCPFlags  uint8 // derived from the tracked state, see tcpFlags
	EndReason EndReason
	Egress    bool // leaves by an uplink (flowDirection, element 61)
	// ToS is the type of service or traffic class of the packet that began the connection, as it
	// left; 0 in the reply direction.
	ToS uint8
	// Seen reports that Input and Output are those of the packet that began the connection, or
	// of routes that led as it went. Else they are of routes alone.
	Seen bool

	// Midstream reports that a TCP connection's beginning was not seen: which end opened
	// it is not known. It has no SYN in its TCPFlags.
	Midstream bool

	// NAT is not 0 in a record of a translation that began or ended at Start. Such a
	// record has the addresses and ports of View Wire, for ICMP
	// the identifier as source port, and no counters.
	NAT NATEvent

	Packets, Bytes uint64              // bytes of layer 3, IP header included
	Start, End     int64               // nanoseconds since 1970, Start <= End
	Input, Output  uint32              // ifIndexes, 0 = unknown or the router itself
	At             conntrack.Timestamp // when it was exported

	ID uint64 // of the connection, the same in all its records

	// The conntrack zones of packets as they come in, and of what comes back for them;
	// 0 = none.
	InputZone, OutputZone uint16
	Mark                  uint32 // conntrack's, the same in both directions

	// What the first packet showed, and what Options.Describe adds; 0 = none, or not known.
	InputVLAN, OutputVLAN uint16
	SrcMAC, DstMAC        [6]byte // of the neighbour that sends, and of the one it is for
}

// EndReason is why a record was exported (flowEndReason, element 136).
type EndReason uint8

// The end reasons of the IANA registry of IPFIX information elements.
const (
	EndIdle      EndReason = 1 // idle timeout
	EndActive    EndReason = 2 // active timeout
	EndDetected  EndReason = 3 // end of flow seen: FIN, RST
	EndForced    EndReason = 4 // deleted by hand, or this program stops
	EndResources EndReason = 5 // lack of resources
)

// IsICMP reports whether DstPort holds an ICMP or ICMPv6 type and code.
func (r *Record) IsICMP() bool {
	return r.Proto == conntrack.ProtoICMP || r.Proto == conntrack.ProtoICMPv6
}

// IsIPv6 reports whether the addresses are IPv6.
func (r *Record) IsIPv6() bool { return r.Family == unix.AF_INET6 }

// Moved reports whether the record counts anything.
func (r *Record) Moved() bool { return r.Packets != 0 || r.Bytes != 0 }

// NATEvent is what a record reports of a translation; 0: it is a record of a flow.
type NATEvent uint8

// The NAT events.
const (
	NATCreate NATEvent = iota + 1
	NATDelete
)

// Sink receives what a Table exports. How it represents a pair is its choice: by a record
// for each direction that moved, by one for both, or not at all. Its methods never block.
type Sink interface {
	// Export adds a pair, which is valid until Export returns.
	Export(p *Pair)
	// Flush sends what Export has added. It is called after the checkpoint is written, so
	// that a restarted program doesn't export it again.
	Flush(now conntrack.Timestamp)
}

// Sinks is a Sink that passes everything to each of several.
type Sinks []Sink

// Export implements Sink.
func (all Sinks) Export(p *Pair) {
	for _, s := range all {
		s.Export(p)
	}
}

// Flush implements Sink.
func (all Sinks) Flush(now conntrack.Timestamp) {
	for _, s := range all {
		s.Flush(now)
	}
}
