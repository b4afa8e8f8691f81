package conntracktest

import (
	"encoding/binary"

	"github.com/conntally/conntally/conntrack"
	"golang.org/x/sys/unix"
)

// Attribute types of linux/netfilter/nfnetlink_conntrack.h.
const (
	ctaTupleOrig      = 1
	ctaTupleReply     = 2
	ctaStatus         = 3
	ctaProtoinfo      = 4
	ctaTimeout        = 7
	ctaMark           = 8
	ctaCountersOrig   = 9
	ctaCountersReply  = 10
	ctaUse            = 11
	ctaID             = 12
	ctaZone           = 18
	ctaTimestamp      = 20
	ctaTimestampEvent = 27 // 6.14+

	ctaTupleIP    = 1
	ctaTupleProto = 2
	ctaTupleZone  = 3

	ctaIPv4Src = 1
	ctaIPv4Dst = 2
	ctaIPv6Src = 3
	ctaIPv6Dst = 4

	ctaProtoNum     = 1
	ctaProtoSrcPort = 2
	ctaProtoDstPort = 3
	ctaICMPID       = 4
	ctaICMPType     = 5
	ctaICMPCode     = 6
	ctaICMPv6ID     = 7
	ctaICMPv6Type   = 8
	ctaICMPv6Code   = 9

	ctaCountersPkts   = 1
	ctaCountersBytes  = 2
	ctaTimestampStart = 1
	ctaTimestampStop  = 2

	ctaProtoinfoTCP  = 1
	ctaProtoinfoSCTP = 3

	ctaState             = 1 // of both
	ctaTCPWscaleOriginal = 2
	ctaTCPWscaleReply    = 3
	ctaTCPFlagsOriginal  = 4
	ctaTCPFlagsReply     = 5
	ctaSCTPVtagOriginal  = 2
	ctaSCTPVtagReply     = 3
)

const (
	headerLen = 16 // struct nlmsghdr
	genmsgLen = 4  // struct nfgenmsg

	msgNew    = unix.NFNL_SUBSYS_CTNETLINK << 8
	msgGet    = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
	msgDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2

	// The window scale of a TCP connection between two Linux hosts.
	tcpWscale = 10
)

// AppendEntry appends e as one whole netlink message: an entry of a dump, or of
// type Destroy the event of its end, with e's port id. The sequence number is 0.
func AppendEntry(b []byte, e *conntrack.Event) []byte {
	begin := len(b)
	if e.Type == conntrack.Destroy {
		b = appendHeader(b, msgDelete, 0, 0, e.Portid)
	} else {
		b = appendHeader(b, msgNew, unix.NLM_F_MULTI, 0, dumpPortid)
	}
	b = append(b, e.Orig.Family, unix.NFNETLINK_V0, 0, 0)
	return finish(AppendAttributes(b, e), begin)
}

// AppendAttributes appends what ctnetlink.Decode reads: the part of e's message after its headers.
func AppendAttributes(b []byte, e *conntrack.Event) []byte {
	w := writer{b}
	both := e.Zone == e.ReplyZone
	w.tuple(ctaTupleOrig, &e.Orig, oneWay(e.Zone, both))
	w.tuple(ctaTupleReply, &e.Reply, oneWay(e.ReplyZone, both))
	if both && e.Zone != 0 {
		w.u16(ctaZone, e.Zone)
	}
	if e.Type == conntrack.Destroy {
		w.destroyed(e)
	} else {
		w.live(e)
	}
	return w.b
}

// oneWay returns the zone of a tuple alone: 0 if both directions share it.
func oneWay(zone uint16, both bool) uint16 {
	if both {
		return 0
	}
	return zone
}

// AppendDone appends the end of a dump (NLMSG_DONE); errno is 0 for success.
func AppendDone(b []byte, seq uint32, errno unix.Errno) []byte {
	begin := len(b)
	b = appendHeader(b, unix.NLMSG_DONE, unix.NLM_F_MULTI, seq, dumpPortid)
	b = binary.NativeEndian.AppendUint32(b, uint32(-int32(errno)))
	return finish(b, begin)
}

// AppendError appends the kernel's answer to a request that it refuses (NLMSG_ERROR), with the
// request.
func AppendError(b []byte, seq uint32, errno unix.Errno, request []byte) []byte {
	begin := len(b)
	b = appendHeader(b, unix.NLMSG_ERROR, 0, seq, dumpPortid)
	b = binary.NativeEndian.AppendUint32(b, uint32(-int32(errno)))
	return finish(append(b, request...), begin)
}

// Stamp sets the sequence number of each message of a well-formed datagram, and
// returns it.
func Stamp(datagram []byte, seq uint32) []byte {
	for rest := datagram; len(rest) >= headerLen; {
		binary.NativeEndian.PutUint32(rest[8:], seq)
		length := max(headerLen, align4(int(binary.NativeEndian.Uint32(rest))))
		rest = rest[min(length, len(rest)):]
	}
	return datagram
}

func appendHeader(b []byte, typ, flags uint16, seq, portid uint32) []byte {
	b = append(b, 0, 0, 0, 0) // the length, by finish
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return binary.NativeEndian.AppendUint32(b, portid)
}

func finish(b []byte, begin int) []byte {
	binary.NativeEndian.PutUint32(b[begin:], uint32(len(b)-begin))
	return b
}

func align4(n int) int { return (n + 3) &^ 3 }

// writer appends netlink attributes (struct nlattr).
type writer struct{ b []byte }

// live writes in the order of ctnetlink_fill_info.
func (w *writer) live(e *conntrack.Event) {
	w.u32(ctaStatus, uint32(e.Status))
	w.u32(ctaMark, e.Mark)
	w.u32(ctaID, e.ID)
	w.u32(ctaUse, 1)
	if e.Status&conntrack.Offload == 0 {
		w.u32(ctaTimeout, e.Timeout)
		w.protoinfo(e)
	}
	w.accounting(e)
}

// destroyed writes in the order of ctnetlink_conntrack_event.
func (w *writer) destroyed(e *conntrack.Event) {
	w.u32(ctaID, e.ID)
	w.u32(ctaStatus, uint32(e.Status))
	if e.HasTimeout {
		w.u32(ctaTimeout, e.Timeout)
	}
	w.accounting(e)
	w.protoinfo(e)
	if e.Mark != 0 {
		w.u32(ctaMark, e.Mark)
	}
	if e.Stop != 0 {
		w.u64(ctaTimestampEvent, uint64(e.Stop))
	}
}

// accounting writes what the acct and timestamp extensions hold.
func (w *writer) accounting(e *conntrack.Event) {
	if e.Counted {
		w.counters(ctaCountersOrig, e.Counters[conntrack.Original])
		w.counters(ctaCountersReply, e.Counters[conntrack.Reply])
	}
	if e.Start == 0 {
		return
	}
	nest := w.open(ctaTimestamp)
	w.u64(ctaTimestampStart, uint64(e.Start))
	if e.Stop != 0 {
		w.u64(ctaTimestampStop, uint64(e.Stop))
	}
	w.close(nest)
}

func (w *writer) counters(typ uint16, c conntrack.Counters) {
	nest := w.open(typ)
	w.u64(ctaCountersPkts, c.Packets)
	w.u64(ctaCountersBytes, c.Bytes)
	w.close(nest)
}

func (w *writer) tuple(typ uint16, t *conntrack.Tuple, zone uint16) {
	nest := w.open(typ)
	w.addresses(t)
	proto := w.open(ctaTupleProto)
	w.u8(ctaProtoNum, t.Proto)
	w.ports(t)
	w.close(proto)
	if zone != 0 {
		w.u16(ctaTupleZone, zone)
	}
	w.close(nest)
}

func (w *writer) addresses(t *conntrack.Tuple) {
	nest := w.open(ctaTupleIP)
	if t.Family == unix.AF_INET {
		w.bytes(ctaIPv4Src, t.Src[12:])
		w.bytes(ctaIPv4Dst, t.Dst[12:])
	} else {
		w.bytes(ctaIPv6Src, t.Src[:])
		w.bytes(ctaIPv6Dst, t.Dst[:])
	}
	w.close(nest)
}

// ports writes what the protocol's tuple_to_nlattr does: an unknown one has none.
func (w *writer) ports(t *conntrack.Tuple) {
	switch t.Proto {
	case conntrack.ProtoTCP, conntrack.ProtoUDP, conntrack.ProtoUDPLite,
		conntrack.ProtoSCTP, conntrack.ProtoDCCP, conntrack.ProtoGRE:
		w.u16(ctaProtoSrcPort, t.SrcPort)
		w.u16(ctaProtoDstPort, t.DstPort)
	case conntrack.ProtoICMP:
		w.u16(ctaICMPID, t.SrcPort)
		w.u8(ctaICMPType, uint8(t.DstPort>>8))
		w.u8(ctaICMPCode, uint8(t.DstPort))
	case conntrack.ProtoICMPv6:
		w.u16(ctaICMPv6ID, t.SrcPort)
		w.u8(ctaICMPv6Type, uint8(t.DstPort>>8))
		w.u8(ctaICMPv6Code, uint8(t.DstPort))
	}
}

// protoinfo writes the state alone where the entry has ended.
func (w *writer) protoinfo(e *conntrack.Event) {
	if e.Orig.Proto != conntrack.ProtoTCP && e.Orig.Proto != conntrack.ProtoSCTP {
		return
	}
	nest := w.open(ctaProtoinfo)
	if e.Orig.Proto == conntrack.ProtoTCP {
		w.tcp(e)
	} else {
		w.sctp(e)
	}
	w.close(nest)
}

func (w *writer) tcp(e *conntrack.Event) {
	nest := w.open(ctaProtoinfoTCP)
	w.u8(ctaState, e.State)
	if e.Type != conntrack.Destroy {
		w.u8(ctaTCPWscaleOriginal, tcpWscale)
		w.u8(ctaTCPWscaleReply, tcpWscale)
		w.bytes(ctaTCPFlagsOriginal, []byte{uint8(e.TCPFlags[conntrack.Original]), 0})
		w.bytes(ctaTCPFlagsReply, []byte{uint8(e.TCPFlags[conntrack.Reply]), 0})
	}
	w.close(nest)
}

func (w *writer) sctp(e *conntrack.Event) {
	nest := w.open(ctaProtoinfoSCTP)
	w.u8(ctaState, e.State)
	if e.Type != conntrack.Destroy {
		w.u32(ctaSCTPVtagOriginal, 0)
		w.u32(ctaSCTPVtagReply, 0)
	}
	w.close(nest)
}

// open begins a nested attribute; close takes what open returned.
func (w *writer) open(typ uint16) (nest int) {
	nest = len(w.b)
	w.header(typ|unix.NLA_F_NESTED, 0)
	return nest
}

func (w *writer) close(nest int) {
	binary.NativeEndian.PutUint16(w.b[nest:], uint16(len(w.b)-nest))
}

func (w *writer) header(typ uint16, size int) {
	w.b = binary.NativeEndian.AppendUint16(w.b, uint16(4+size))
	w.b = binary.NativeEndian.AppendUint16(w.b, typ)
}

func (w *writer) u8(typ uint16, v uint8) {
	w.header(typ, 1)
	w.b = append(w.b, v, 0, 0, 0)
}

func (w *writer) u16(typ uint16, v uint16) {
	w.header(typ, 2)
	w.b = append(binary.BigEndian.AppendUint16(w.b, v), 0, 0)
}

func (w *writer) u32(typ uint16, v uint32) {
	w.header(typ, 4)
	w.b = binary.BigEndian.AppendUint32(w.b, v)
}

func (w *writer) u64(typ uint16, v uint64) {
	w.header(typ, 8)
	w.b = binary.BigEndian.AppendUint64(w.b, v)
}

func (w *writer) bytes(typ uint16, v []byte) {
	w.header(typ, len(v))
	w.b = append(w.b, v...)
	for len(w.b)%4 != 0 {
		w.b = append(w.b, 0)
	}
}
