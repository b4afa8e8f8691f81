package ctnetlink

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed is a message that contradicts its own lengths. Its entry can't
// be known; what follows it in the datagram is unharmed.
var ErrMalformed = errors.New("malformed ctnetlink message")

const (
	attrHeaderLen = 4
	attrTypeMask  = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

// attrs walks over netlink attributes (struct nlattr: native-endian length and
// type, then a value padded to four bytes). Its error sticks, so that a loop
// checks once, at its end.
type attrs struct {
	b         []byte // the whole message
	next, end int    // what is left to walk over
	typ       uint16
	header    int    // where the present attribute begins
	at        offset // where its value does
	size      int    // of the value
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

// inside returns a walk over the attributes in the present one.
func (a *attrs) inside() attrs {
	return attrs{b: a.b, next: int(a.at), end: int(a.at) + a.size}
}

// fail keeps the first error.
func (a *attrs) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// value puts down where the present value is. It must have that width.
func (a *attrs) value(at *offset, width int) {
	if a.size != width {
		a.fail(ErrMalformed)
	}
	*at = a.at
}
