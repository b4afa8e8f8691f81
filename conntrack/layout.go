package conntrack

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The kernel writes the attributes of tuples, counters and time stamps in one order
// and without gaps (ctnetlink_dump_tuples, dump_counters). Where the headers are
// exactly those, the values are at known places, which halves the cost of an
// entry. Whatever looks different is walked over attribute by attribute.

const nested = 0x8000 // NLA_F_NESTED

// header reads a struct nlattr as one number: see attr.
func header(b []byte) uint32 {
	return uint32(binary.NativeEndian.Uint16(b)) | uint32(binary.NativeEndian.Uint16(b[2:]))<<16
}

// attr is the header of an attribute of that length, header included, and type.
func attr(length, typ uint32) uint32 { return length | typ<<16 }

// fixed reads a tuple with ports in the kernel's layout, or returns false.
func (t *Tuple) fixed(b []byte) bool {
	switch len(b) {
	case 48:
		return t.fixedIPv4(b[:20]) && t.fixedPorts(b[20:48])
	case 72:
		return t.fixedIPv6(b[:44]) && t.fixedPorts(b[44:72])
	}
	return false
}

func (t *Tuple) fixedIPv4(b []byte) bool {
	if header(b) != attr(20, ctaTupleIP|nested) || header(b[4:]) != attr(8, ctaIPv4Src) || header(b[12:]) != attr(8, ctaIPv4Dst) {
		return false
	}
	t.Src, t.Dst, t.Family = mapped(b[8:12]), mapped(b[16:20]), unix.AF_INET
	return true
}

func (t *Tuple) fixedIPv6(b []byte) bool {
	if header(b) != attr(44, ctaTupleIP|nested) || header(b[4:]) != attr(20, ctaIPv6Src) || header(b[24:]) != attr(20, ctaIPv6Dst) {
		return false
	}
	t.Src, t.Dst, t.Family = Addr(b[8:24]), Addr(b[28:44]), unix.AF_INET6
	return true
}

func (t *Tuple) fixedPorts(b []byte) bool {
	if header(b) != attr(28, ctaTupleProto|nested) || header(b[4:]) != attr(5, ctaProtoNum) ||
		header(b[12:]) != attr(6, ctaProtoSrcPort) || header(b[20:]) != attr(6, ctaProtoDstPort) {
		return false
	}
	t.Proto = b[8]
	t.SrcPort, t.DstPort = binary.BigEndian.Uint16(b[16:]), binary.BigEndian.Uint16(b[24:])
	return true
}

// fixedPair reads two 64-bit attributes of types 1 and 2, which is how counters and
// the time stamps of an end look.
func fixedPair(b []byte) (first, second uint64, ok bool) {
	if len(b) != 24 || header(b) != attr(12, 1) || header(b[12:]) != attr(12, 2) {
		return 0, 0, false
	}
	return binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint64(b[16:]), true
}
