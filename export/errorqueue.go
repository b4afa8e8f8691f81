package export

import (
	"encoding/binary"
	"errors"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errorQueue reads a socket's error queue (IP_RECVERR, ip(7)): the ICMP errors of datagrams that
// were sent. Nothing else reports a host that is off: the router's own kernel adds an error once
// its ARP requests or neighbour solicitations stay without an answer.
type errorQueue struct {
	header  unix.Msghdr
	vector  unix.Iovec
	payload [64]byte   // the beginning of the datagram, which has the message header
	control [32]uint64 // aligned as a struct cmsghdr wants
	length  int        // of the payload
	errno   syscall.Errno
}

// read takes the next error off the queue.
func (q *errorQueue) read(fd uintptr) {
	q.vector.Base = &q.payload[0]
	q.vector.SetLen(len(q.payload))
	q.header = unix.Msghdr{Iov: &q.vector, Control: (*byte)(unsafe.Pointer(&q.control[0]))}
	q.header.SetIovlen(1)
	q.header.SetControllen(int(unsafe.Sizeof(q.control)))
	n, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd,
		uintptr(unsafe.Pointer(&q.header)), unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
	q.length, q.errno = int(n), errno
}

// reason returns the error that was read, 0 if there is none.
func (q *errorQueue) reason() syscall.Errno {
	message := (*unix.Cmsghdr)(unsafe.Pointer(&q.control[0]))
	isError := message.Level == unix.SOL_IP && message.Type == unix.IP_RECVERR ||
		message.Level == unix.SOL_IPV6 && message.Type == unix.IPV6_RECVERR
	if int(q.header.Controllen) < unix.CmsgSpace(4) || !isError {
		return 0
	}
	data := (*[4]byte)(unsafe.Pointer(
		uintptr(unsafe.Pointer(&q.control[0])) + uintptr(unix.CmsgLen(0))))
	// ee_errno, the first member of struct sock_extended_err.
	return syscall.Errno(binary.NativeEndian.Uint32(data[:]))
}

// nextError returns the next error of the queue and the beginning of its datagram, which is valid
// until the next call. ok is false if there is none.
func (s *socket) nextError() (reason syscall.Errno, datagram []byte, ok bool) {
	if s.raw.Control(s.errorBound) != nil || s.errors.errno != 0 {
		return 0, nil, false
	}
	return s.errors.reason(), s.errors.payload[:s.errors.length], true
}

// reportICMP makes the kernel queue all ICMP errors, not only "port unreachable".
func reportICMP(raw syscall.RawConn, v6 bool) error {
	level, option := unix.SOL_IP, unix.IP_RECVERR
	if v6 {
		level, option = unix.SOL_IPV6, unix.IPV6_RECVERR
	}
	var err error
	failed := raw.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), level, option, 1))
	})
	return errors.Join(failed, err)
}
