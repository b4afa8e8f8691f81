package ctnetlink

import (
	"encoding/binary"

	"github.com/conntally/conntally/conntrack"
)

// Decode reads the attributes of one ctnetlink message, which begin after its
// nfgenmsg header, into e. It leaves Type, At and Portid alone and keeps no
// part of b. The error is ErrMalformed; e is then as it was.
func Decode(b []byte, e *conntrack.Event) error {
	var l shape
	if err := l.learn(b); err != nil {
		return err
	}
	l.read(b, e)
	return nil
}

// decoder decodes like Decode and caches the shapes of earlier messages.
type decoder struct {
	shapes [shapeSlots]shapePair
}

const shapeSlots = 64 // by length

// shapePair holds two shapes of a length, the newer first: an end with a mark is as
// long as one with a timeout.
type shapePair [2]*shape

func (d *decoder) decode(b []byte, e *conntrack.Event) error {
	ways := &d.shapes[len(b)/4%shapeSlots]
	for _, l := range ways {
		if l != nil && l.recognizes(b) {
			l.read(b, e)
			return nil
		}
	}
	return ways.learn(b, e)
}

// learn walks over b, and caches its shape in place of the older one.
func (ways *shapePair) learn(b []byte, e *conntrack.Event) error {
	if ways[1] == nil {
		ways[1] = new(shape)
	}
	l := ways[1]
	if err := l.learn(b); err != nil {
		l.known = 0
		return err
	}
	ways[0], ways[1] = l, ways[0]
	l.read(b, e)
	return nil
}

// read reads a message of this shape.
func (l *shape) read(b []byte, e *conntrack.Event) {
	l.orig.read(b, &e.Orig)
	l.reply.read(b, &e.Reply)
	l.counters[conntrack.Original].read(b, &e.Counters[conntrack.Original])
	l.counters[conntrack.Reply].read(b, &e.Counters[conntrack.Reply])
	e.Zone, e.ReplyZone = l.zones[conntrack.Original].u16(b), l.zones[conntrack.Reply].u16(b)
	e.ID, e.Mark, e.Status = l.id.u32(b), l.mark.u32(b), conntrack.Status(l.status.u32(b))
	e.Timeout, e.HasTimeout = l.timeout.u32(b), l.timeout != 0
	e.Start, e.Stop = int64(l.start.u64(b)), int64(l.stop.u64(b))
	e.State, e.Counted = l.state.u8(b), l.counted
	e.TCPFlags = [2]conntrack.TCPFlags{conntrack.TCPFlags(l.tcpFlags[conntrack.Original].u8(b)), conntrack.TCPFlags(l.tcpFlags[conntrack.Reply].u8(b))}
}

func (l *counterOffsets) read(b []byte, c *conntrack.Counters) {
	c.Packets, c.Bytes = l.packets.u64(b), l.bytes.u64(b)
}

func (l *tupleOffsets) read(b []byte, t *conntrack.Tuple) {
	l.src.read(b, &t.Src)
	l.dst.read(b, &t.Dst)
	t.Family, t.Proto = l.family, l.proto.u8(b)
	t.SrcPort, t.DstPort = l.srcPort.u16(b), l.dstPort.u16(b)
	if l.icmpType != 0 || l.icmpCode != 0 {
		t.DstPort = uint16(l.icmpType.u8(b))<<8 | uint16(l.icmpCode.u8(b))
	}
}

func (l addrOffset) read(b []byte, a *conntrack.Addr) {
	switch {
	case l.at == 0:
		*a = conntrack.Addr{}
	case l.v6:
		copy(a[:], b[l.at:])
	default:
		readMapped(a, b[l.at:])
	}
}

// readMapped reads an IPv4 address. Two whole stores: smaller ones would stall a later
// copy of the address.
func readMapped(a *conntrack.Addr, v4 []byte) {
	binary.BigEndian.PutUint64(a[:8], 0)
	binary.BigEndian.PutUint64(a[8:], 0xffff<<32|uint64(binary.BigEndian.Uint32(v4)))
}

func (o offset) u8(b []byte) uint8 {
	if o == 0 {
		return 0
	}
	return b[o]
}

func (o offset) u16(b []byte) uint16 {
	if o == 0 {
		return 0
	}
	return binary.BigEndian.Uint16(b[o:])
}

func (o offset) u32(b []byte) uint32 {
	if o == 0 {
		return 0
	}
	return binary.BigEndian.Uint32(b[o:])
}

func (o offset) u64(b []byte) uint64 {
	if o == 0 {
		return 0
	}
	return binary.BigEndian.Uint64(b[o:])
}
