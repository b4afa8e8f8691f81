package conntrack

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
	rest  []byte
	typ   uint16
	value []byte
	err   error
}

// next steps to the next attribute and tells whether there is one.
func (a *attrs) next() bool {
	if len(a.rest) == 0 || a.err != nil {
		return false
	}
	if len(a.rest) < attrHeaderLen {
		a.err = ErrMalformed
		return false
	}
	length := int(binary.NativeEndian.Uint16(a.rest))
	if length < attrHeaderLen || length > len(a.rest) {
		a.err = ErrMalformed
		return false
	}
	a.typ = binary.NativeEndian.Uint16(a.rest[2:]) & attrTypeMask
	a.value = a.rest[attrHeaderLen:length]
	a.rest = a.rest[min(align4(length), len(a.rest)):]
	return true
}

func align4(n int) int { return (n + 3) &^ 3 }

// fail keeps the first error.
func (a *attrs) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// has checks the width of the present value.
func (a *attrs) has(width int) bool {
	if len(a.value) != width {
		a.fail(ErrMalformed)
		return false
	}
	return true
}

func (a *attrs) u8() uint8 {
	if !a.has(1) {
		return 0
	}
	return a.value[0]
}

func (a *attrs) u16() uint16 {
	if !a.has(2) {
		return 0
	}
	return binary.BigEndian.Uint16(a.value)
}

func (a *attrs) u32() uint32 {
	if !a.has(4) {
		return 0
	}
	return binary.BigEndian.Uint32(a.value)
}

func (a *attrs) u64() uint64 {
	if !a.has(8) {
		return 0
	}
	return binary.BigEndian.Uint64(a.value)
}

func (a *attrs) addr4() (addr Addr) {
	if !a.has(4) {
		return addr
	}
	return mapped(a.value)
}

func (a *attrs) addr16() (addr Addr) {
	if !a.has(16) {
		return addr
	}
	return Addr(a.value)
}
