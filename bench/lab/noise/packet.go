package noise

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// packet is an IP packet without options.
type packet struct {
	from, to netip.Addr
	proto    uint8
	hops     uint8 // 0 = 64
	payload  []byte
}

func (p packet) marshal() []byte {
	hops := p.hops
	if hops == 0 {
		hops = 64
	}
	var b []byte
	if p.from.Is4() {
		b = make([]byte, 20, 20+len(p.payload))
		b[0], b[8], b[9] = 0x45, hops, p.proto
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(p.payload)))
		copy(b[12:], p.from.AsSlice())
		copy(b[16:], p.to.AsSlice())
		binary.BigEndian.PutUint16(b[10:], checksum(b))
	} else {
		b = make([]byte, 40, 40+len(p.payload))
		b[0], b[6], b[7] = 0x60, p.proto, hops
		binary.BigEndian.PutUint16(b[4:], uint16(len(p.payload)))
		copy(b[8:], p.from.AsSlice())
		copy(b[24:], p.to.AsSlice())
	}
	return append(b, p.payload...)
}

func (p packet) etherType() uint16 {
	if p.from.Is4() {
		return unix.ETH_P_IP
	}
	return unix.ETH_P_IPV6
}

// sum writes the checksum of a transport protocol, at that offset, over the
// pseudo-header too.
func (p packet) sum(at int) packet {
	pseudo := append(p.from.AsSlice(), p.to.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(p.payload)))
	pseudo = append(pseudo, 0, 0, 0, p.proto)
	binary.BigEndian.PutUint16(p.payload[at:], checksum(append(pseudo, p.payload...)))
	return p
}

func udp(from, to netip.AddrPort, payload []byte) packet {
	b := ports(from, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(append(b, 0, 0), payload...)
	return packet{from: from.Addr(), to: to.Addr(), proto: unix.IPPROTO_UDP, payload: b}.sum(6)
}

// syn is a TCP segment that opens a connection.
func syn(from, to netip.AddrPort, sequence uint32) packet {
	b := binary.BigEndian.AppendUint32(ports(from, to), sequence)
	b = append(b, 0, 0, 0, 0, 5<<4, 0x02, 0xff, 0xff, 0, 0, 0, 0)
	return packet{from: from.Addr(), to: to.Addr(), proto: unix.IPPROTO_TCP, payload: b}.sum(16)
}

func ports(from, to netip.AddrPort) []byte {
	return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from.Port()), to.Port())
}

// echo is an ICMP echo request over IPv4.
func echo(from, to netip.Addr, id uint16) packet {
	b := binary.BigEndian.AppendUint16([]byte{8, 0, 0, 0}, id)
	b = append(b, 0, 1, 'n', 'o', 'i', 's', 'e', 0)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return packet{from: from, to: to, proto: unix.IPPROTO_ICMP, payload: b}
}

// igmp is a message of IGMP version 2 (RFC 2236): 0x11 asks, 0x16 reports membership.
func igmp(from, to, group netip.Addr, typ uint8) packet {
	b := append([]byte{typ, 10, 0, 0}, group.AsSlice()...)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return packet{from: from, to: to, proto: unix.IPPROTO_IGMP, hops: 1, payload: b}
}

// mld is a report of MLD version 2 (RFC 3810) that a group is listened to, behind the
// router alert.
func mld(from, group netip.Addr) packet {
	report := append([]byte{143, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0}, group.AsSlice()...)
	p := packet{from: from, to: reports6, proto: unix.IPPROTO_ICMPV6, payload: report}.sum(2)
	alert := []byte{unix.IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}
	p.proto, p.hops, p.payload = 0, 1, append(alert, p.payload...)
	return p
}

// neighbour is a message of neighbour discovery on target, with the sender's MAC: 135
// is a solicitation, 136 an advertisement.
func neighbour(typ uint8, from, to, target netip.Addr, sender mac) packet {
	flags, option := byte(0), byte(1)
	if typ == 136 {
		flags, option = 0x20, 2 // override
	}
	b := append([]byte{typ, 0, 0, 0, flags, 0, 0, 0}, target.AsSlice()...)
	b = append(append(b, option, 1), sender[:]...)
	return packet{from: from, to: to, proto: unix.IPPROTO_ICMPV6, hops: 255, payload: b}.sum(2)
}

// arp asks who has an address.
func arp(sender mac, from, to netip.Addr) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	b = append(append(b, sender[:]...), from.AsSlice()...)
	b = append(append(b, make([]byte, 6)...), to.AsSlice()...)
	return b
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var s uint32
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) > 0 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}
