package ctnetlink

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed means that a message contradicts its own lengths. Its entry is unknown; the other
// messages of the datagram can be read.
var ErrMalformed = errors.New("malformed ctnetlink message")

const (
	attrHeaderLen = 4
	attrTypeMask  = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

// attrs walks over netlink attributes (struct nlattr: native-endian length and
// type, then a value padded to four bytes). The first error ends the walk and stays in err, so
// that a loop checks it once, at its end.
type attrs struct {
	b         []byte // the whole message
	next, end int    // the attributes that are left
	typ       uint16
	header    int    // where the current attribute begins
	at        offset // where its value begins
	size      int    // of the value, octets
	err       error
}

// step goes to the next attribute and reports whether there is one.
func (a *attrs) step() bool {
	if a.next >= a.end || a.err != nil {
		return false
	}
	if a.end-a.next < attrHeaderLen {
		a.err = ErrMalformed
		return false
	}
	length := int(binary.NativeEndian.Uint16(a.b[a.next:]))
	if length < attrHeaderLen || length > a.end-a.next {
		a.err = ErrMalformed
		return false
	}
	a.typ = binary.NativeEndian.Uint16(a.b[a.next+2:]) & attrTypeMask
	a.header, a.at, a.size = a.next, offset(a.next+attrHeaderLen), length-attrHeaderLen
	a.next += align4(length)
	return true
}

func align4(n int) int { return (n + 3) &^ 3 }

// inside returns a walk over the attributes nested in the current one.
func (a *attrs) inside() attrs {
	return attrs{b: a.b, next: int(a.at), end: int(a.at) + a.size}
}

// fail keeps the first error.
func (a *attrs) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// value sets at to where the current value is. The value must be width octets wide.
func (a *attrs) value(at *offset, width int) {
	if a.size != width {
		a.fail(ErrMalformed)
	}
	*at = a.at
}
