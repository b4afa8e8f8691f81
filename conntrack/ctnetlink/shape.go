package ctnetlink

import "encoding/binary"

// shape says where in a message the values are. The kernel writes entries of a
// kind all alike: the same attributes in the same order (ctnetlink_fill_info,
// ctnetlink_conntrack_event). So a message whose attribute headers are those of an
// earlier one is read at known places instead of walked over.
type shape struct {
	length int // of the message, octets
	known  int // lines, 0 where a message of this shape won't be recognized
	lines  [maxLines]line

	orig, reply      tupleOffsets
	zones            [2]offset // by Direction
	status, mark, id offset
	timeout, state   offset
	tcpFlags         [2]offset // by Direction
	start, stop      offset
	counters         [2]counterOffsets
	counted          bool
}

// offset is where a value begins in a message, 0 where there is none: a header
// comes before each.
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

// line is 32 octets of a message, of which those under the mask, attribute headers,
// make the shape. Four words at a time are compared in half the time of one by one.
type line struct{ want, mask [4]uint64 }

const (
	lineLen  = 32
	maxLines = 16 // 512 octets; the kernel's messages have some 300

	maxMessage = 1<<16 - 1 // more than the kernel's, and what an offset can hold
)

// recognizes reports whether b is of this shape.
func (l *shape) recognizes(b []byte) bool {
	if len(b) != l.length || l.known == 0 {
		return false
	}
	differ := uint64(0)
	for i := range l.lines[:l.known] {
		at, is := &l.lines[i], b[:lineLen]
		differ |= (binary.NativeEndian.Uint64(is) ^ at.want[0]) & at.mask[0]
		differ |= (binary.NativeEndian.Uint64(is[8:]) ^ at.want[1]) & at.mask[1]
		differ |= (binary.NativeEndian.Uint64(is[16:]) ^ at.want[2]) & at.mask[2]
		differ |= (binary.NativeEndian.Uint64(is[24:]) ^ at.want[3]) & at.mask[3]
		b = b[min(lineLen, len(b)-lineLen):]
	}
	return differ == 0
}

// learn walks over b and puts down where its values are. The error is ErrMalformed.
func (l *shape) learn(b []byte) error {
	*l = shape{length: len(b)}
	if len(b) > maxMessage {
		return ErrMalformed
	}
	if n := (len(b) + lineLen - 1) / lineLen; n <= maxLines && len(b) >= lineLen {
		l.known = n
	}
	if err := l.message(attrs{b: b, end: len(b)}); err != nil {
		return err
	}
	if l.orig.family == 0 || l.reply.family == 0 {
		return ErrMalformed
	}
	return nil
}

// lineAt is where line i begins. The last one may overlap the one before.
func (l *shape) lineAt(i int) int { return min(i*lineLen, l.length-lineLen) }

// step goes to the next attribute and makes its header a part of the shape.
func (l *shape) step(a *attrs) bool {
	if !a.step() {
		return false
	}
	for i := a.header; i < a.header+attrHeaderLen && l.known > 0; i++ {
		n := min(i/lineLen, l.known-1)
		l.lines[n].cover(a.b[l.lineAt(n):], i-l.lineAt(n))
	}
	return true
}

// cover has octet i of b, where the line begins, take part.
func (n *line) cover(b []byte, i int) {
	w := i / 8
	var mask [8]byte
	mask[i%8] = 0xff
	n.mask[w] |= binary.NativeEndian.Uint64(mask[:])
	n.want[w] = binary.NativeEndian.Uint64(b[8*w:])
}
