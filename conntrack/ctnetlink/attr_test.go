package ctnetlink_test

import (
	"encoding/binary"
	"slices"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
)

// Attribute types of <linux/netfilter/nfnetlink_conntrack.h>, for messages that no current kernel
// sends.
const (
	aTupleOrig     = 1
	aTupleReply    = 2
	aStatus        = 3
	aProtoinfo     = 4
	aTimeout       = 7
	aMark          = 8
	aCountersOrig  = 9
	aCountersReply = 10
	aID            = 12
	aZone          = 18
	aTimestamp     = 20

	aTupleIP    = 1
	aTupleProto = 2
	aTupleZone  = 3

	nested    = 1 << 15 // NLA_F_NESTED
	byteOrder = 1 << 14 // NLA_F_NET_BYTEORDER
)

// attr makes one attribute, padded.
func attr(typ uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, make([]byte, -len(b)&3)...)
}

// nest makes an attribute of others.
func nest(typ uint16, inner ...[]byte) []byte {
	return attr(typ|nested, slices.Concat(inner...)...)
}

// lying makes an attribute with a false length.
func lying(typ, length uint16, value ...byte) []byte {
	b := attr(typ, value...)
	binary.NativeEndian.PutUint16(b, length)
	return b
}

// tcpTuple makes the inside of a tuple attribute.
func tcpTuple() []byte {
	return slices.Concat(
		nest(aTupleIP, attr(1, 192, 0, 2, 1), attr(2, 192, 0, 2, 2)),
		nest(aTupleProto, attr(1, conntrack.ProtoTCP), attr(2, 0, 80), attr(3, 1, 0)))
}

// bothTuples makes the smallest valid entry.
func bothTuples() []byte {
	return slices.Concat(attr(aTupleOrig, tcpTuple()...), attr(aTupleReply, tcpTuple()...))
}

// appended returns a valid entry with more attributes.
func appended(more ...[]byte) []byte {
	e := tcpEntry()
	return append(conntracktest.AppendAttributes(nil, &e), slices.Concat(more...)...)
}
