package ctnetlink

import "encoding/binary"

// messageShape holds where in a message the values are. The kernel writes the same attributes in
// the same order for all entries of a kind (ctnetlink_fill_info, ctnetlink_conntrack_event). So a
// message with the same attribute headers as an earlier one is read at known offsets, without
// walking over its attributes.
type messageShape struct {
	length    int // of the message, octets
	lineCount int // lines in use; 0: the shape recognizes no message
	lines     [maxLines]maskedLine

	orig, reply      tupleOffsets
	zones            [2]offset // by Direction
	status, mark, id offset
	timeout, state   offset
	tcpFlags         [2]offset // by Direction
	start, stop      offset
	counters         [2]counterOffsets
	counted          bool
}

// offset is where a value begins in a message. 0 means that there is none, since a header comes
// before each value.
type offset uint16

type counterOffsets struct{ packets, bytes offset }

type tupleOffsets struct {
	src, dst           addrOffset
	family             uint8
	proto              offset
	srcPort, dstPort   offset
	icmpType, icmpCode offset
}

type addrOffset struct {
	at offset
	v6 bool
}

// maskedLine is 32 octets of a message. Those under the mask, attribute headers, are part of the
// shape. Comparing four words at a time takes half the time of comparing them one by one.
type maskedLine struct{ want, mask [4]uint64 }

const (
	lineLen  = 32
	maxLines = 16 // 512 octets; the kernel's messages have some 300

	maxMessage = 1<<16 - 1 // more than the kernel's, and what an offset can hold
)

// recognizes reports whether b has this shape.
func (s *messageShape) recognizes(b []byte) bool {
	if len(b) != s.length || s.lineCount == 0 {
		return false
	}
	differ := uint64(0)
	for i := range s.lines[:s.lineCount] {
		at, is := &s.lines[i], b[:lineLen]
		differ |= (binary.NativeEndian.Uint64(is) ^ at.want[0]) & at.mask[0]
		differ |= (binary.NativeEndian.Uint64(is[8:]) ^ at.want[1]) & at.mask[1]
		differ |= (binary.NativeEndian.Uint64(is[16:]) ^ at.want[2]) & at.mask[2]
		differ |= (binary.NativeEndian.Uint64(is[24:]) ^ at.want[3]) & at.mask[3]
		b = b[min(lineLen, len(b)-lineLen):]
	}
	return differ == 0
}

// learn walks over b and records where its values are. The error is ErrMalformed.
func (s *messageShape) learn(b []byte) error {
	*s = messageShape{length: len(b)}
	if len(b) > maxMessage {
		return ErrMalformed
	}
	if n := (len(b) + lineLen - 1) / lineLen; n <= maxLines && len(b) >= lineLen {
		s.lineCount = n
	}
	if err := s.message(attrs{b: b, end: len(b)}); err != nil {
		return err
	}
	if s.orig.family == 0 || s.reply.family == 0 {
		return ErrMalformed
	}
	return nil
}

// lineAt returns where line i begins. The last line may overlap the one before.
func (s *messageShape) lineAt(i int) int { return min(i*lineLen, s.length-lineLen) }

// step goes to the next attribute, and makes its header part of the shape.
func (s *messageShape) step(a *attrs) bool {
	if !a.step() {
		return false
	}
	for i := a.header; i < a.header+attrHeaderLen && s.lineCount > 0; i++ {
		n := min(i/lineLen, s.lineCount-1)
		s.lines[n].cover(a.b[s.lineAt(n):], i-s.lineAt(n))
	}
	return true
}

// cover makes octet i of b, which begins where the line begins, part of the shape.
func (n *maskedLine) cover(b []byte, i int) {
	w := i / 8
	var mask [8]byte
	mask[i%8] = 0xff
	n.mask[w] |= binary.NativeEndian.Uint64(mask[:])
	n.want[w] = binary.NativeEndian.Uint64(b[8*w:])
}
