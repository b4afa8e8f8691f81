package kernel

import (
	"cmp"
	"encoding/binary"
	"errors"
	"os"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrNotLoaded says that the kernel lacks the module nf_conntrack_netlink.
var ErrNotLoaded = errors.New("nf_conntrack_netlink is not loaded")

// Available makes the smallest request of conntrack. The error is unix.EPERM without CAP_NET_ADMIN,
// and ErrNotLoaded without the module, which the kernel loads on demand if it can.
func Available() error {
	err := ask(nfMessage(msgGetStats, 0, unix.AF_UNSPEC, func(*netlink.AttributeEncoder) {}))
	// Answers of nfnetlink (nfnetlink_rcv_msg), and where even that is missing.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return ErrNotLoaded
	}
	return err
}

// ask sends a request and returns the error in the answer, if any.
func ask(request netlink.Message) error {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	return exchange(conn, request)
}

// exchange sends a request and returns the error in the answer, if any.
func exchange(conn *netlink.Conn, request netlink.Message) error {
	sent, err := conn.Send(request)
	if err != nil {
		return err
	}
	return answer(conn, sent.Header.Sequence)
}

// answer reads the message that answers a request. Answers of ctnetlink are marked as one of many
// (NLM_F_MULTI) although no other follows; conn.Receive would wait for it.
func answer(conn *netlink.Conn, sequence uint32) error {
	if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	b := make([]byte, os.Getpagesize())
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		n, _, failed = unix.Recvfrom(int(fd), b, 0)
		return failed != unix.EAGAIN && failed != unix.EINTR &&
			(failed != nil || sequenceOf(b[:n]) == sequence)
	})
	if err = cmp.Or(err, failed); err != nil {
		return err
	}
	return errorOf(b[:n])
}

// sequenceOf returns which request a message answers.
func sequenceOf(b []byte) uint32 {
	if len(b) < unix.SizeofNlMsghdr {
		return 0
	}
	return binary.NativeEndian.Uint32(b[8:])
}

// errorOf returns what an NLMSG_ERROR says (struct nlmsghdr, nlmsgerr: a negative errno,
// 0 for success), nil for other messages.
func errorOf(b []byte) error {
	if len(b) < unix.SizeofNlMsghdr+4 {
		return errMalformed
	}
	if binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])); code != 0 {
		return unix.Errno(-code)
	}
	return nil
}
