package export

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// present is the time of most tests, between two seconds and two milliseconds.
const present = int64(1_767_323_045_678_901_234)

var protocols = []Protocol{IPFIX, NetFlow9}

func address(s string) conntrack.Addr { return conntrack.AddrFrom(netip.MustParseAddr(s)) }

// sample returns the record of the golden datagrams: each field has a value of its own, and
// counters need more than 32 bits. kind is the index of its template.
func sample(kind int, now int64) flow.Record {
	r := flow.Record{
		Src: address("192.0.2.10"), Dst: address("198.51.100.20"), SrcPort: 40001, DstPort: 443,
		PostSrc: address("203.0.113.5"), PostDst: address("10.11.12.13"), PostSrcPort: 1025,
		PostDstPort: 8443,
		Family:      unix.AF_INET, Proto: conntrack.ProtoTCP, TCPFlags: 0x1b, ToS: 0xb8,
		Packets: 0x0000000a_0b0c0d0e, Bytes: 0x00001a1b_1c1d1e1f,
		Start: now - int64(61_234*time.Millisecond), End: now - int64(1_111*time.Millisecond),
		EndReason: flow.EndReason(1 + kind%5), Input: 0x01020304, Output: 0x05060708,
		Egress:     kind%2 == 0,
		Translated: kind&translatedBit != 0,
		ID:         0xa0a1a2a3_a4a5a6a7, InputVLAN: 0x0102, OutputVLAN: 0x0304,
		SrcMAC: [6]byte{2, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5},
		DstMAC: [6]byte{2, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5}, InputZone: 0x0506, OutputZone: 0x0708,
		Mark:      0xc0c1c2c3,
		Midstream: kind == 0,
	}
	if kind&v6Bit != 0 {
		r.Family = unix.AF_INET6
		r.Src, r.Dst = address("2001:db8:1::10"), address("2001:db8:2::20")
		r.PostSrc, r.PostDst = address("2001:db8:3::30"), address("2001:db8:4::40")
	}
	if kind&icmpBit != 0 {
		makeICMP(&r)
	}
	return r
}

// samplePair returns the sample record and one of the reply direction.
func samplePair(kind int, now int64) flow.Pair {
	r := sample(kind, now)
	back := r
	back.Src, back.Dst, back.SrcPort, back.DstPort = r.Dst, r.Src, r.DstPort, r.SrcPort
	if r.Translated { // the host that answers
		back.Src, back.SrcPort = r.PostDst, r.PostDstPort
	}
	back.PostSrc, back.PostDst = r.PostDst, address("203.0.113.77")
	back.PostSrcPort, back.PostDstPort = 7, 8
	if kind&v6Bit != 0 {
		back.PostDst = address("2001:db8:7::77")
	}
	back.Input, back.Output, back.Egress = r.Output, r.Input, !r.Egress
	back.InputZone, back.OutputZone = r.OutputZone, r.InputZone
	back.InputVLAN, back.OutputVLAN = r.OutputVLAN, r.InputVLAN
	back.SrcMAC = [6]byte{2, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5}
	back.DstMAC = [6]byte{2, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5}
	back.Packets, back.Bytes, back.TCPFlags = 0x0000002a_2b2c2d2e, 0x00003a3b_3c3d3e3f, 0x12
	back.ToS = 0 // not known
	if kind&icmpBit != 0 {
		back.TCPFlags, back.SrcPort, back.DstPort = 0, 0, 0x2122
		back.PostSrcPort, back.PostDstPort = 0, 0x2122
	}
	return flow.Pair{r, back}
}

// sampleNAT returns a translation that ended, or began.
func sampleNAT(v6, ended bool, now int64) flow.Record {
	kind := translatedBit
	if v6 {
		kind |= v6Bit
	}
	r := sample(kind, now)
	if r.NAT = flow.NATCreate; ended {
		r.NAT = flow.NATDelete
	}
	r.Start, r.Packets, r.Bytes = r.End, 0, 0
	return r
}

// makeICMP makes r an ICMP error: host unreachable.
func makeICMP(r *flow.Record) {
	r.Proto, r.DstPort = conntrack.ProtoICMP, 3<<8|1
	if r.Family == unix.AF_INET6 {
		r.Proto, r.DstPort = conntrack.ProtoICMPv6, 1<<8|3
	}
	r.TCPFlags, r.SrcPort, r.PostSrcPort, r.PostDstPort = 0, 0, 0, r.DstPort
}

// random returns a record like those that a flow.Table exports at now.
func random(rnd *rand.Rand, kind int, now int64) flow.Record {
	r := sample(kind, now)
	r.Src, r.Dst = scramble(rnd, r.Src), scramble(rnd, r.Dst)
	r.PostSrc, r.PostDst = scramble(rnd, r.PostSrc), scramble(rnd, r.PostDst)
	r.DstPort, r.PostDstPort = uint16(rnd.Uint32()), uint16(rnd.Uint32())
	if !r.IsICMP() {
		r.SrcPort, r.PostSrcPort = uint16(rnd.Uint32()), uint16(rnd.Uint32())
	}
	r.Packets, r.Bytes = rnd.Uint64(), rnd.Uint64()
	r.Input, r.Output = rnd.Uint32(), rnd.Uint32()
	r.End = now - rnd.Int64N(int64(time.Hour))
	r.Start = r.End - rnd.Int64N(int64(10*time.Hour))
	return r
}

// scramble changes the last four octets of an address.
func scramble(rnd *rand.Rand, a conntrack.Addr) conntrack.Addr {
	binary.BigEndian.PutUint32(a[12:], rnd.Uint32())
	return a
}
