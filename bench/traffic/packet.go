package traffic

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// Packet is one of a flow's.
type Packet struct {
	At       time.Duration // since the traffic began
	Flow     int
	Size     uint16 // bytes, IP header included; at least MinSize
	Port     uint16 // of the remote end
	TCP      bool   // otherwise UDP
	Down     bool   // from the remote end, otherwise from the client
	Flags    uint8  // of TCP, as are
	Seq, Ack uint32
}

// Flags of TCP.
const (
	FIN = 1 << 0
	SYN = 1 << 1
	RST = 1 << 2
	PSH = 1 << 3
	ACK = 1 << 4
)

// Sizes of IP packets, without options.
const (
	MinUDP  = ipHeader + udpHeader
	MinTCP  = ipHeader + tcpHeader
	MaxSize = 1500
)

const (
	etherHeader = 14
	ipHeader    = 20
	udpHeader   = 8
	tcpHeader   = 20

	lifetime  = 64
	window    = 0xffff
	dontBreak = 0x4000
)

// frame is an Ethernet frame whose payload is zero bytes.
type frame [etherHeader + MaxSize]byte

// link writes what all frames of one wire and direction share.
func (f *frame) link(from, to [6]byte) {
	copy(f[0:], to[:])
	copy(f[6:], from[:])
	binary.BigEndian.PutUint16(f[12:], unix.ETH_P_IP)
	ip := f[etherHeader:]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[6:], dontBreak)
	ip[8] = lifetime
}

// set makes the frame that of a packet and returns its length. The client's end is
// client where the packet is seen before the router, else the router itself.
func (f *frame) set(p *Packet, client uint32) int {
	src, dst, srcPort, dstPort := client, remote(p.Flow), port(p.Flow), p.Port
	if p.Down {
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
	}
	ip := f[etherHeader : etherHeader+int(p.Size)]
	binary.BigEndian.PutUint16(ip[2:], p.Size)
	ip[9] = p.protocol()
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint32(ip[12:], src)
	binary.BigEndian.PutUint32(ip[16:], dst)
	binary.BigEndian.PutUint16(ip[10:], ^fold(sum(ip[:ipHeader])))
	l4 := ip[ipHeader:]
	binary.BigEndian.PutUint16(l4[0:], srcPort)
	binary.BigEndian.PutUint16(l4[2:], dstPort)
	if p.TCP {
		p.putTCP(l4)
		binary.BigEndian.PutUint16(l4[16:],
			^fold(sum(l4[:tcpHeader])+sum(ip[12:20])+unix.IPPROTO_TCP+uint32(len(l4))))
	} else {
		clear(f[etherHeader+MinUDP-4 : etherHeader+MinTCP]) // a TCP header may have been there
		binary.BigEndian.PutUint16(l4[4:], uint16(len(l4))) // no checksum: IPv4 needs none
	}
	return etherHeader + int(p.Size)
}

func (p *Packet) protocol() uint8 {
	if p.TCP {
		return unix.IPPROTO_TCP
	}
	return unix.IPPROTO_UDP
}

func (p *Packet) putTCP(b []byte) {
	binary.BigEndian.PutUint32(b[4:], p.Seq)
	binary.BigEndian.PutUint32(b[8:], p.Ack)
	b[12], b[13] = tcpHeader/4<<4, p.Flags
	binary.BigEndian.PutUint16(b[14:], window)
	binary.BigEndian.PutUint32(b[16:], 0) // checksum, urgent pointer
}

// sum adds up 16-bit words (RFC 1071); the payload adds nothing.
func sum(b []byte) (s uint32) {
	for i := 0; i < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	return s
}

func fold(s uint32) uint16 {
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}
