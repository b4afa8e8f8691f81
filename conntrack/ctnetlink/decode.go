package ctnetlink

import (
	"encoding/binary"

	"github.com/conntally/conntally/conntrack"
)

// Decode reads the attributes of one ctnetlink message, which begin after its
// nfgenmsg header, into e. It leaves Type, At and Portid alone and keeps no part of b. The error
// is ErrMalformed; e is then unchanged.
func Decode(b []byte, e *conntrack.Event) error {
	var s messageShape
	if err := s.learn(b); err != nil {
		return err
	}
	s.read(b, e)
	return nil
}

// decoder decodes like Decode and caches the shapes of earlier messages.
type decoder struct {
	shapes [shapeSlots]shapePair
}

const shapeSlots = 64 // indexed by message length

// shapePair holds two shapes of one length, the newer first: a DESTROY with a mark is as long as
// one with a timeout.
type shapePair [2]*messageShape

func (d *decoder) decode(b []byte, e *conntrack.Event) error {
	pair := &d.shapes[len(b)/4%shapeSlots]
	for _, s := range pair {
		if s != nil && s.recognizes(b) {
			s.read(b, e)
			return nil
		}
	}
	return pair.learn(b, e)
}

// learn decodes b by walking over its attributes, and replaces the older shape with its shape.
func (p *shapePair) learn(b []byte, e *conntrack.Event) error {
	if p[1] == nil {
		p[1] = new(messageShape)
	}
	s := p[1]
	if err := s.learn(b); err != nil {
		s.lineCount = 0
		return err
	}
	p[0], p[1] = s, p[0]
	s.read(b, e)
	return nil
}

// read reads the values of a message of this shape.
func (s *messageShape) read(b []byte, e *conntrack.Event) {
	s.orig.read(b, &e.Orig)
	s.reply.read(b, &e.Reply)
	s.counters[conntrack.Original].read(b, &e.Counters[conntrack.Original])
	s.counters[conntrack.Reply].read(b, &e.Counters[conntrack.Reply])
	e.Zone, e.ReplyZone = s.zones[conntrack.Original].u16(b), s.zones[conntrack.Reply].u16(b)
	e.ID, e.Mark, e.Status = s.id.u32(b), s.mark.u32(b), conntrack.Status(s.status.u32(b))
	e.Timeout, e.HasTimeout = s.timeout.u32(b), s.timeout != 0
	e.Start, e.Stop = int64(s.start.u64(b)), int64(s.stop.u64(b))
	e.State, e.Counted = s.state.u8(b), s.counted
	e.TCPFlags[conntrack.Original] = conntrack.TCPFlags(s.tcpFlags[conntrack.Original].u8(b))
	e.TCPFlags[conntrack.Reply] = conntrack.TCPFlags(s.tcpFlags[conntrack.Reply].u8(b))
}

func (o *counterOffsets) read(b []byte, c *conntrack.Counters) {
	c.Packets, c.Bytes = o.packets.u64(b), o.bytes.u64(b)
}

func (o *tupleOffsets) read(b []byte, t *conntrack.Tuple) {
	o.src.read(b, &t.Src)
	o.dst.read(b, &t.Dst)
	t.Family, t.Proto = o.family, o.proto.u8(b)
	t.SrcPort, t.DstPort = o.srcPort.u16(b), o.dstPort.u16(b)
	if o.icmpType != 0 || o.icmpCode != 0 {
		t.DstPort = uint16(o.icmpType.u8(b))<<8 | uint16(o.icmpCode.u8(b))
	}
}

func (o addrOffset) read(b []byte, a *conntrack.Addr) {
	switch {
	case o.at == 0:
		*a = conntrack.Addr{}
	case o.v6:
		copy(a[:], b[o.at:])
	default:
		readMapped(a, b[o.at:])
	}
}

// readMapped reads an IPv4 address. It makes two stores of eight bytes: a later copy of the
// address would stall on smaller ones.
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
