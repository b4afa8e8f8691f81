package ctnetlink

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

const (
	headerLen = 16 // struct nlmsghdr
	genmsgLen = 4  // struct nfgenmsg
)

// Message types of the conntrack subsystem (enum cntl_msg_types).
const (
	msgNew    = unix.NFNL_SUBSYS_CTNETLINK << 8 // also each entry of a dump
	msgGet    = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
	msgDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
	msgStats  = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5 // IPCTNL_MSG_CT_GET_STATS
)

// message is one netlink message of a datagram; data borrows the datagram.
type message struct {
	typ, flags  uint16
	seq, portid uint32
	data        []byte
}

// nextMessage splits the first message off a datagram (struct nlmsghdr, native endian). The error
// is ErrMalformed: the messages after it can't be found either.
func nextMessage(b []byte) (m message, rest []byte, err error) {
	if len(b) < headerLen {
		return m, nil, ErrMalformed
	}
	length := binary.NativeEndian.Uint32(b)
	if length < headerLen || uint64(length) > uint64(len(b)) {
		return m, nil, ErrMalformed
	}
	m = message{
		typ:    binary.NativeEndian.Uint16(b[4:]),
		flags:  binary.NativeEndian.Uint16(b[6:]),
		seq:    binary.NativeEndian.Uint32(b[8:]),
		portid: binary.NativeEndian.Uint32(b[12:]),
		data:   b[headerLen:length],
	}
	return m, b[min(align4(int(length)), len(b)):], nil
}

// attributes returns the bytes after the nfgenmsg header.
func (m *message) attributes() ([]byte, error) {
	if len(m.data) < genmsgLen {
		return nil, ErrMalformed
	}
	return m.data[genmsgLen:], nil
}

// failure reads the error code of NLMSG_ERROR and NLMSG_DONE (a negative errno,
// 0 for success).
func (m *message) failure() error {
	if len(m.data) < 4 {
		return ErrMalformed
	}
	if code := int32(binary.NativeEndian.Uint32(m.data)); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}

// dumpRequest returns a request for all entries of both families (IPCTNL_MSG_CT_GET) in b.
func dumpRequest(b []byte, seq uint32) []byte {
	return finishRequest(appendRequest(b[:0], msgGet, unix.NLM_F_DUMP, seq, unix.AF_UNSPEC), 0)
}
