package ctnetlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// question names an entry as the kernel looks it up.
type question struct {
	orig conntrack.Tuple
	zone uint16 // of the original direction
}

func questionOf(e *conntrack.Event) question { return question{orig: e.Orig, zone: e.Zone} }

const ctaStatsGlobalEntries = 1 // enum ctattr_stats_global

// appendRequest appends a request that has no attributes yet. finishRequest takes where it begins.
func appendRequest(b []byte, typ, flags uint16, seq uint32, family uint8) []byte {
	b = append(b, 0, 0, 0, 0) // the length
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, family, unix.NFNETLINK_V0, 0, 0)
}

func finishRequest(b []byte, begin int) []byte {
	binary.NativeEndian.PutUint32(b[begin:], uint32(len(b)-begin))
	return b
}

// append appends a request for the entry (IPCTNL_MSG_CT_GET).
func (q *question) append(b []byte, seq uint32) []byte {
	t, begin := &q.orig, len(b)
	b = appendRequest(b, msgGet, 0, seq, t.Family)
	tuple := len(b)
	b = appendAttr(b, ctaTupleOrig|unix.NLA_F_NESTED)
	ip := len(b)
	b = appendAttr(b, ctaTupleIP|unix.NLA_F_NESTED)
	if t.Family == unix.AF_INET {
		b = appendValue(b, ctaIPv4Src, t.Src[12:])
		b = appendValue(b, ctaIPv4Dst, t.Dst[12:])
	} else {
		b = appendValue(b, ctaIPv6Src, t.Src[:])
		b = appendValue(b, ctaIPv6Dst, t.Dst[:])
	}
	endAttr(b, ip)
	proto := len(b)
	b = appendAttr(b, ctaTupleProto|unix.NLA_F_NESTED)
	b = appendPorts(b, t)
	endAttr(b, proto)
	endAttr(b, tuple)
	if q.zone != 0 {
		b = appendUint16(b, ctaZone, q.zone)
	}
	return finishRequest(b, begin)
}

// appendPorts appends the protocol and what its nlattr_to_tuple requires.
func appendPorts(b []byte, t *conntrack.Tuple) []byte {
	b = append(appendSized(b, ctaProtoNum, 1), t.Proto, 0, 0, 0)
	id, typ, code := uint16(ctaICMPID), uint16(ctaICMPType), uint16(ctaICMPCode)
	switch t.Proto {
	case conntrack.ProtoTCP, conntrack.ProtoUDP, conntrack.ProtoUDPLite, conntrack.ProtoSCTP,
		conntrack.ProtoDCCP, conntrack.ProtoGRE:
		b = appendUint16(b, ctaProtoSrcPort, t.SrcPort)
		return appendUint16(b, ctaProtoDstPort, t.DstPort)
	case conntrack.ProtoICMP:
	case conntrack.ProtoICMPv6:
		id, typ, code = ctaICMPv6ID, ctaICMPv6Type, ctaICMPv6Code
	default:
		return b
	}
	b = appendUint16(b, id, t.SrcPort)
	b = append(appendSized(b, typ, 1), uint8(t.DstPort>>8), 0, 0, 0)
	return append(appendSized(b, code, 1), uint8(t.DstPort), 0, 0, 0)
}

func appendSized(b []byte, typ uint16, size int) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attrHeaderLen+size))
	return binary.NativeEndian.AppendUint16(b, typ)
}

// appendAttr begins an attribute; endAttr takes where it begins.
func appendAttr(b []byte, typ uint16) []byte { return appendSized(b, typ, 0) }

func endAttr(b []byte, begin int) {
	binary.NativeEndian.PutUint16(b[begin:], uint16(len(b)-begin))
}

// appendValue appends an address, whose length is a multiple of four.
func appendValue(b []byte, typ uint16, v []byte) []byte {
	return append(appendSized(b, typ, len(v)), v...)
}

func appendUint16(b []byte, typ, v uint16) []byte {
	return append(binary.BigEndian.AppendUint16(appendSized(b, typ, 2), v), 0, 0)
}

// appendCount appends a request for the number of entries (IPCTNL_MSG_CT_GET_STATS).
func appendCount(b []byte, seq uint32) []byte {
	begin := len(b)
	return finishRequest(appendRequest(b, msgStats, 0, seq, unix.AF_UNSPEC), begin)
}

// entryCount reads the answer to appendCount.
func (m *message) entryCount() (int, error) {
	b, err := m.attributes()
	if err != nil {
		return 0, err
	}
	a := attrs{b: b, end: len(b)}
	for a.step() {
		if a.typ == ctaStatsGlobalEntries && a.size == 4 {
			return int(binary.BigEndian.Uint32(b[a.at:])), nil
		}
	}
	return 0, ErrMalformed
}
