package bpf

import (
	"encoding/binary"
	"math/bits"
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
	return len(b) == recordSize && decodeRecord((*[recordSize]byte)(b), hz, e)
}

// decodeRecord takes an array, so that no index is checked.
func decodeRecord(r *[recordSize]byte, hz int32, e *conntrack.Event) bool {
	le := binary.LittleEndian
	if !decodeTuple((*[tupleSize]byte)(r[:]), &e.Orig) ||
		!decodeTuple((*[tupleSize]byte)(r[tupleSize:]), &e.Reply) {
		return false
	}
	flags := r[atFlags]
	e.Type, e.Portid = conntrack.Destroy, 0
	e.TCPFlags[0], e.TCPFlags[1] = 0, 0
	e.Status, e.Mark, e.State = conntrack.Status(le.Uint32(r[atStatus:])), le.Uint32(r[atMark:]),
		r[atState]
	e.Zone, e.ReplyZone = 0, 0
	if zone := le.Uint16(r[atZone:]); zone != 0 {
		if flags&flagOriginalZone != 0 {
			e.Zone = zone
		}
		if flags&flagReplyZone != 0 {
			e.ReplyZone = zone
		}
	}
	e.Counted = flags&flagCounted != 0
	original, reply := &e.Counters[conntrack.Original], &e.Counters[conntrack.Reply]
	original.Packets, original.Bytes = le.Uint64(r[atCounters:]), le.Uint64(r[atCounters+8:])
	reply.Packets, reply.Bytes = le.Uint64(r[atCounters+16:]), le.Uint64(r[atCounters+24:])
	e.Start, e.Stop = int64(le.Uint64(r[atStart:])), int64(le.Uint64(r[atStop:]))
	if flags&flagFirst != 0 {
		decodePacket((*[packetSize]byte)(r[atFirst:]), &e.First)
	} else {
		e.First = conntrack.FirstPacket{}
	}
	// As ctnetlink_dump_timeout does it.
	left := int32(le.Uint32(r[atTimeout:])-le.Uint32(r[atNow:])) / hz
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

func decodeTuple(b *[tupleSize]byte, t *conntrack.Tuple) bool {
	be := binary.BigEndian
	switch binary.LittleEndian.Uint16(b[atFamily:]) {
	case unix.AF_INET:
		t.Family = unix.AF_INET
		decodeMapped((*[4]byte)(b[atSrc:]), &t.Src)
		decodeMapped((*[4]byte)(b[atDst:]), &t.Dst)
	case unix.AF_INET6:
		t.Family = unix.AF_INET6
		decodeAddr((*[16]byte)(b[atSrc:]), &t.Src)
		decodeAddr((*[16]byte)(b[atDst:]), &t.Dst)
	default:
		return false
	}
	t.SrcPort, t.DstPort, t.Proto = be.Uint16(b[atSrcPort:]), be.Uint16(b[atDstPort:]), b[atProto]
	return true
}

func decodePacket(b *[packetSize]byte, p *conntrack.FirstPacket) {
	le := binary.LittleEndian
	p.Known, p.ToS, p.VLAN = true, b[atToS], le.Uint16(b[atVLAN:])
	p.Input, p.Output = le.Uint32(b[atInput:]), le.Uint32(b[atOutput:])
	p.MAC = [6]byte(b[atMAC:])
}

// decodeAddr makes two stores of eight bytes, as decodeMapped does: a copy of the array would go
// through the stack.
func decodeAddr(v6 *[16]byte, a *conntrack.Addr) {
	le := binary.LittleEndian
	le.PutUint64(a[:8], le.Uint64(v6[:8]))
	le.PutUint64(a[8:], le.Uint64(v6[8:]))
}

// decodeMapped makes two stores of eight bytes: a later copy of the address would stall on
// smaller ones.
func decodeMapped(v4 *[4]byte, a *conntrack.Addr) {
	le := binary.LittleEndian
	le.PutUint64(a[:8], 0)
	le.PutUint64(a[8:], 0xffff<<16|uint64(le.Uint32(v4[:]))<<32)
}

// idOf returns the ID of an entry by its zone and original tuple, where CTA_ID isn't known. The
// Key tells entries of one ID apart.
func idOf(e *conntrack.Event) uint32 {
	le, t := binary.LittleEndian, &e.Orig
	zones := uint64(e.Zone)<<16 | uint64(e.ReplyZone)
	ports := uint64(t.SrcPort)<<16 | uint64(t.DstPort) | uint64(t.Proto)<<32
	h := mix(le.Uint64(t.Src[:8])^zones, le.Uint64(t.Dst[:8]))
	return uint32(mix(h^le.Uint64(t.Src[8:]), le.Uint64(t.Dst[8:])^ports))
}

// mix mixes all bits of two words into one.
func mix(a, b uint64) uint64 {
	const p, q = 0x9e3779b97f4a7c15, 0xd1b54a32d192ed03 // odd numbers with bits everywhere
	high, low := bits.Mul64(a^p, b^q)
	return high ^ low
}
