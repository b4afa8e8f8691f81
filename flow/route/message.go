package route

import (
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// errMalformed is a message that contradicts its own lengths.
var errMalformed = errors.New("malformed rtnetlink message")

const (
	headerLen     = 16     // struct nlmsghdr
	attrHeaderLen = 4      // struct nlattr
	attrTypeMask  = 0x3fff // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
)

// message is one netlink message of a datagram, which body borrows.
type message struct {
	typ, flags uint16
	seq        uint32
	body       []byte
}

// nextMessage splits the first message off a datagram.
func nextMessage(b []byte) (m message, rest []byte, err error) {
	if len(b) < headerLen {
		return m, nil, errMalformed
	}
	length := binary.NativeEndian.Uint32(b)
	if length < headerLen || uint64(length) > uint64(len(b)) {
		return m, nil, errMalformed
	}
	m = message{
		typ:   binary.NativeEndian.Uint16(b[4:]),
		flags: binary.NativeEndian.Uint16(b[6:]),
		seq:   binary.NativeEndian.Uint32(b[8:]),
		body:  b[headerLen:length],
	}
	return m, b[min(align4(int(length)), len(b)):], nil
}

func align4(n int) int { return (n + 3) &^ 3 }

// failure reads the error code of NLMSG_ERROR and NLMSG_DONE: 0 or a negative errno.
func (m *message) failure() error {
	if len(m.body) < 4 {
		return errMalformed
	}
	if code := int32(binary.NativeEndian.Uint32(m.body)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// attributes returns what follows a header of n bytes.
func (m *message) attributes(n int) attributes {
	if len(m.body) < n {
		return attributes{err: errMalformed}
	}
	return attributes{rest: m.body[n:]}
}

// attributes walks over netlink attributes. Its error is kept: check it after the loop.
type attributes struct {
	rest  []byte
	typ   uint16
	value []byte
	err   error
}

func (a *attributes) next() bool {
	if len(a.rest) == 0 || a.err != nil {
		return false
	}
	if len(a.rest) < attrHeaderLen {
		a.err = errMalformed
		return false
	}
	length := int(binary.NativeEndian.Uint16(a.rest))
	if length < attrHeaderLen || length > len(a.rest) {
		a.err = errMalformed
		return false
	}
	a.typ = binary.NativeEndian.Uint16(a.rest[2:]) & attrTypeMask
	a.value = a.rest[attrHeaderLen:length]
	a.rest = a.rest[min(align4(length), len(a.rest)):]
	return true
}

func (a *attributes) u32() uint32 {
	if len(a.value) < 4 {
		a.err = errMalformed
		return 0
	}
	return binary.NativeEndian.Uint32(a.value)
}

// beginMessage begins a request in b, and endMessage fills in its length.
func beginMessage(b []byte, typ, flags uint16, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b[:0], 0)
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return binary.NativeEndian.AppendUint32(b, 0)
}

func endMessage(b []byte) []byte {
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

func appendU32(b []byte, typ uint16, v uint32) []byte {
	b = binary.NativeEndian.AppendUint16(b, attrHeaderLen+4)
	b = binary.NativeEndian.AppendUint16(b, typ)
	return binary.NativeEndian.AppendUint32(b, v)
}

func appendBytes(b []byte, typ uint16, v []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attrHeaderLen+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	for range align4(len(v)) - len(v) {
		b = append(b, 0)
	}
	return b
}
