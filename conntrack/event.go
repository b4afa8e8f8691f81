package conntrack

import (
	"encoding/binary"
	"net/netip"
)

// Addr is an IPv4 or IPv6 address in network byte order; IPv4 is kept in
// IPv4-mapped form, so that a Tuple has one size and no pointers.
type Addr [16]byte

// AddrFrom packs a, which may be IPv4, IPv6 or IPv4-mapped.
func AddrFrom(a netip.Addr) Addr { return a.As16() }

// Netip returns the address, an IPv4-mapped one as IPv4.
func (a Addr) Netip() netip.Addr { return netip.AddrFrom16(a).Unmap() }

// V4 returns the four bytes of an IPv4 address.
func (a Addr) V4() [4]byte { return [4]byte(a[12:]) }

// IsLoopback reports whether a is in 127.0.0.0/8 or is ::1.
func (a *Addr) IsLoopback() bool {
	high, low := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	return high == 0 && (low>>24 == 0xffff7f || low == 1)
}

// IsUnspecified reports whether a is 0.0.0.0 or ::, from which a host sends that has no address
// yet.
func (a *Addr) IsUnspecified() bool {
	high, low := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	return high == 0 && (low == 0 || low == 0xffff<<32)
}

// IsGroup reports whether a is a multicast address or 255.255.255.255. The broadcast address of
// a network can't be recognized by itself.
func (a *Addr) IsGroup() bool {
	high, low := binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])
	if high == 0 && low>>32 == 0xffff {
		return low>>28&0xf == 0xe || low&0xffffffff == 0xffffffff
	}
	return a[0] == 0xff
}

// Tuple names one direction of a connection (struct nf_conntrack_tuple).
type Tuple struct {
	Src, Dst Addr
	// Ports in host byte order. ICMP and ICMPv6 keep here what the kernel
	// keeps in the same union: the identifier in SrcPort, type<<8 | code in
	// DstPort. 0 for protocols without ports.
	SrcPort, DstPort uint16
	Family           uint8 // AF_INET or AF_INET6
	Proto            uint8 // IP protocol number
}

// IsICMP reports whether DstPort holds an ICMP or ICMPv6 type and code.
func (t *Tuple) IsICMP() bool { return t.Proto == ProtoICMP || t.Proto == ProtoICMPv6 }

// Counters are cumulative over the life of an entry: layer 3 bytes with the IP
// header (struct nf_conn_counter).
type Counters struct {
	Packets, Bytes uint64
}

// Direction indexes the values that an entry has for each direction.
type Direction uint8

// The two directions (enum ip_conntrack_dir).
const (
	Original Direction = iota
	Reply
)

// EventType is where an Event comes from.
type EventType uint8

// The types of events.
const (
	Dump    EventType = iota + 1 // a living entry, read from a dump
	Destroy                      // the end of an entry
)

// Event is one conntrack entry as the kernel described it in one message. It
// holds no pointer and no borrowed memory; a reader reuses one Event for
// all callbacks, so it is valid only until the callback returns.
//
// Package bpf has events written by a program in the kernel, in this order of fields.
type Event struct {
	Type       EventType
	Counted    bool // false: the entry is older than nf_conntrack_acct=1
	HasTimeout bool
	// Once is set if a Destroy event repeats no other, however late it comes. Netlink may repeat
	// one; eBPF reports each once, when the entry's memory is freed.
	Once bool
	// State is the TCP, SCTP or DCCP state (enum tcp_conntrack and the like);
	// 0 for other protocols, and for an offloaded entry.
	State uint8
	// TCPFlags are the kernel's flags of each direction's sender, by Direction; 0 in a
	// Destroy event and for an offloaded entry.
	TCPFlags [2]TCPFlags

	At   Timestamp // when its datagram was read
	Orig Tuple
	// Zone and ReplyZone are the conntrack zones that each direction's packets are looked
	// up in. They are equal unless a rule sets a zone for one direction alone: then the
	// other one's is 0 (struct nf_conntrack_zone).
	Zone      uint16
	Reply     Tuple // after NAT: what comes back
	ReplyZone uint16
	ID        uint32 // CTA_ID; repeats, see Key

	Status Status
	Mark   uint32
	// Timeout is the time until the entry expires, in whole seconds rounded down, if HasTimeout. A
	// Destroy event has one only if the entry was removed before it expired.
	Timeout  uint32
	Counters [2]Counters
	// Start and Stop are the kernel's time stamps in nanoseconds since 1970,
	// 0 where absent: Start without nf_conntrack_timestamp=1, Stop in a dump.
	Start, Stop int64
	// Portid names the program that deleted the entry of a Destroy event; 0 is the kernel.
	Portid uint32
	// First is what the first packet showed; a source that reads by eBPF may know it.
	First FirstPacket
}

// FirstPacket is what the packet that began a connection showed when it had passed the router's rules
// (in __nf_conntrack_confirm): routed, translated, about to leave or to be delivered.
type FirstPacket struct {
	Known bool // false: nobody saw it, and all else is 0
	// ToS is the IPv4 type of service or the IPv6 traffic class, as the packet left.
	ToS uint8
	// VLAN is the id of a tag that the packet still had, as bridged ones do; 0 = none. VLAN
	// interfaces remove theirs.
	VLAN uint16
	// MAC is the Ethernet address that sent the packet; zeroes where it came otherwise, or from
	// the router itself.
	MAC [6]byte
	// Input and Output are the ifIndexes by which the packet came and left; 0 is the router
	// itself. Bridges have their own for what they route, and those of their ports for what they
	// forward. Members of a VRF have their own.
	Input, Output uint32
}

// Key identifies an entry. IDs and tuples are reused: only the start time distinguishes
// two entries that have both in common.
type Key struct {
	Orig            Tuple
	Zone, ReplyZone uint16
	ID              uint32
	Start           int64
}

// Key returns the identity of the event's entry.
func (e *Event) Key() Key {
	return Key{Orig: e.Orig, Zone: e.Zone, ReplyZone: e.ReplyZone, ID: e.ID, Start: e.Start}
}

// Status is the entry's CTA_STATUS (enum ip_conntrack_status).
type Status uint32

// The bits of Status that matter to accounting.
const (
	SeenReply Status = 1 << 1
	Assured   Status = 1 << 2
	Confirmed Status = 1 << 3
	SrcNAT    Status = 1 << 4
	DstNAT    Status = 1 << 5
	Dying     Status = 1 << 9
	Offload   Status = 1 << 14
	HWOffload Status = 1 << 15
)

// IP protocol numbers of which conntrack tracks more than the addresses.
const (
	ProtoICMP    = 1
	ProtoTCP     = 6
	ProtoUDP     = 17
	ProtoDCCP    = 33
	ProtoGRE     = 47
	ProtoICMPv6  = 58
	ProtoSCTP    = 132
	ProtoUDPLite = 136
)

// TCP states (enum tcp_conntrack).
const (
	TCPSynSent     = 1
	TCPSynRecv     = 2
	TCPEstablished = 3
	TCPFinWait     = 4
	TCPCloseWait   = 5
	TCPLastAck     = 6
	TCPTimeWait    = 7
	TCPClose       = 8
	TCPSynSent2    = 9
)

// TCPFlags are the kernel's flags of the sender of one direction (enum ip_ct_tcp_flags).
type TCPFlags uint8

// The flags that show how tracking of a connection began.
const (
	TCPWindowScale   TCPFlags = 0x01 // its SYN offered window scaling
	TCPSACKPermitted TCPFlags = 0x02 // its SYN offered SACK, or no SYN was seen
	TCPBeLiberal     TCPFlags = 0x08 // windows are not checked
)

// PickedUp reports whether the kernel began to track a TCP connection in mid-stream: after its
// entry was flushed, or because it is older than tracking. Such an entry begins with
// SACK and liberal checking in both directions, and never learns of window scaling, which
// only a SYN offers (tcp_new in nf_conntrack_proto_tcp.c). Liberal checking alone proves
// nothing: flowtables and administrators enable it, too. PickedUp returns false for a
// connection whose TCPFlags are not known.
func (e *Event) PickedUp() bool {
	const midstream = TCPSACKPermitted | TCPBeLiberal
	const all = midstream | TCPWindowScale
	return e.Orig.Proto == ProtoTCP && e.TCPFlags[Original]&all == midstream &&
		e.TCPFlags[Reply]&all == midstream
}
