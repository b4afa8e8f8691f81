package bpf

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// The layout of struct record, struct tuple and struct packet in connection.bpf.h. The program is
// made for little-endian machines alone; addresses and ports are in network byte order.
const (
	atSrc     = 0 // in a tuple
	atSrcPort = 16
	atFamily  = 18
	atDst     = 20
	atDstPort = 36
	atProto   = 38
	tupleSize = 40

	atInput    = 0 // in a packet
	atOutput   = 4
	atMAC      = 8
	atVLAN     = 14
	atToS      = 16
	packetSize = 20

	atCounters = 2 * tupleSize // packets, bytes of each direction
	atStart    = atCounters + 32
	atStop     = atStart + 8
	atStatus   = atStop + 8
	atTimeout  = atStatus + 4
	atNow      = atTimeout + 4
	atMark     = atNow + 4
	atFirst    = atMark + 4
	atZone     = atFirst + packetSize
	atState    = atZone + 2
	atFlags    = atState + 1
	atTCPFlags = atFlags + 1    // of each direction
	recordSize = atTCPFlags + 8 // with what aligns it

	flagCounted      = 1
	flagOriginalZone = 2
	flagReplyZone    = 4
	flagExpired      = 8  // by a walk: it is still in the table, but has expired
	flagShown        = 16 // by a walk: an earlier one has shown its end
	flagFirst        = 32 // its first packet is known
)

// decode reads a record into e, without At and ID, and reports whether it is one. hz is the number
// of the kernel's jiffies in a second.
func decode(b []byte, hz int32, e *conntrack.Event) bool {
	if len(b) != recordSize {
		return false
	}
	le := binary.LittleEndian
	if !decodeTuple(b[:tupleSize], &e.Orig) || !decodeTuple(b[tupleSize:2*tupleSize], &e.Reply) {
		return false
	}
	flags := b[atFlags]
	e.Type, e.Portid, e.TCPFlags = conntrack.Destroy, 0, [2]conntrack.TCPFlags{}
	e.Status, e.Mark, e.State = conntrack.Status(le.Uint32(b[atStatus:])), le.Uint32(b[atMark:]),
		b[atState]
	e.Zone, e.ReplyZone = 0, 0
	if zone := le.Uint16(b[atZone:]); zone != 0 {
		if flags&flagOriginalZone != 0 {
			e.Zone = zone
		}
		if flags&flagReplyZone != 0 {
			e.ReplyZone = zone
		}
	}
	e.Counted = flags&flagCounted != 0
	for d := range e.Counters {
		e.Counters[d] = conntrack.Counters{
			Packets: le.Uint64(b[atCounters+16*d:]), Bytes: le.Uint64(b[atCounters+16*d+8:]),
		}
	}
	e.Start, e.Stop = int64(le.Uint64(b[atStart:])), int64(le.Uint64(b[atStop:]))
	e.First = conntrack.FirstPacket{}
	if flags&flagFirst != 0 {
		decodePacket(b[atFirst:], &e.First)
	}
	// As ctnetlink_dump_timeout does it.
	left := int32(le.Uint32(b[atTimeout:])-le.Uint32(b[atNow:])) / hz
	e.HasTimeout = left > 0
	e.Timeout = uint32(max(left, 0))
	return true
}

// decodeWalked reads a record of a walk as decode does, and returns whether it is one to show, and
// whether it is one at all. What is read is what netlink reports of a living entry, or of one that a
// dump evicts. The run of the program began at began jiffies and wall nanoseconds since 1970.
func decodeWalked(
	b []byte, hz int32, began uint32, wall int64, e *conntrack.Event,
) (shown, ok bool) {
	if !decode(b, hz, e) {
		return false, false
	}
	if b[atFlags]&flagExpired != 0 {
		e.Status |= conntrack.Dying
		e.Stop = 0
		if e.Start != 0 {
			ago := int32(began - binary.LittleEndian.Uint32(b[atTimeout:]))
			e.Stop = wall - int64(time.Second)/int64(hz)*int64(ago)
		}
		return b[atFlags]&flagShown == 0, true
	}
	e.Type, e.HasTimeout = conntrack.Dump, true
	e.TCPFlags = [2]conntrack.TCPFlags{
		conntrack.TCPFlags(b[atTCPFlags]), conntrack.TCPFlags(b[atTCPFlags+1]),
	}
	if e.Status&conntrack.Offload != 0 { // ctnetlink_dump_info
		e.Timeout, e.HasTimeout = 0, false
		e.State, e.TCPFlags = 0, [2]conntrack.TCPFlags{}
	}
	return true, true
}

func decodeTuple(b []byte, t *conntrack.Tuple) bool {
	be := binary.BigEndian
	switch family := binary.LittleEndian.Uint16(b[atFamily:]); family {
	case unix.AF_INET:
		t.Family = unix.AF_INET
		decodeMapped(b[atSrc:], &t.Src)
		decodeMapped(b[atDst:], &t.Dst)
	case unix.AF_INET6:
		t.Family = unix.AF_INET6
		copy(t.Src[:], b[atSrc:])
		copy(t.Dst[:], b[atDst:])
	default:
		return false
	}
	t.SrcPort, t.DstPort, t.Proto = be.Uint16(b[atSrcPort:]), be.Uint16(b[atDstPort:]), b[atProto]
	return true
}

func decodePacket(b []byte, p *conntrack.FirstPacket) {
	le := binary.LittleEndian
	p.Known, p.ToS, p.VLAN = true, b[atToS], le.Uint16(b[atVLAN:])
	p.Input, p.Output = le.Uint32(b[atInput:]), le.Uint32(b[atOutput:])
	p.MAC = [6]byte(b[atMAC:])
}

// decodeMapped makes two stores of eight bytes: a later copy of the address would stall on
// smaller ones.
func decodeMapped(v4 []byte, a *conntrack.Addr) {
	be := binary.BigEndian
	be.PutUint64(a[:8], 0)
	be.PutUint64(a[8:], 0xffff<<32|uint64(be.Uint32(v4)))
}

// idOf returns the ID of an entry by its zone and original tuple, where CTA_ID isn't known. The
// Key tells entries of one ID apart.
func idOf(e *conntrack.Event) uint32 {
	const prime = 0x9e3779b97f4a7c15 // an odd number with bits everywhere
	le, t := binary.LittleEndian, &e.Orig
	h := uint64(e.Zone)<<16 | uint64(e.ReplyZone) | uint64(t.Proto)<<32
	for _, word := range [...]uint64{
		le.Uint64(t.Src[:8]), le.Uint64(t.Src[8:]), le.Uint64(t.Dst[:8]), le.Uint64(t.Dst[8:]),
		uint64(t.SrcPort)<<16 | uint64(t.DstPort),
	} {
		h = (h ^ word) * prime
		h ^= h >> 29
	}
	return uint32(h >> 32)
}
