package conntrack

import (
	"errors"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const msgStats = unix.NFNL_SUBSYS_CTNETLINK<<8 | 5 // IPCTNL_MSG_CT_GET_STATS

// ErrNotLoaded says that the kernel lacks the module nf_conntrack_netlink.
var ErrNotLoaded = errors.New("nf_conntrack_netlink is not loaded")

// Available asks the kernel for the least that it tells of conntrack. The error
// is unix.EPERM without CAP_NET_ADMIN, ErrNotLoaded without the module, which the
// kernel loads for this where it may.
func Available() error {
	err := ask(nfMessage(msgStats, 0, unix.AF_UNSPEC, func(*netlink.AttributeEncoder) {}))
	// Answers of nfnetlink (nfnetlink_rcv_msg), and where even that is missing.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT) {
		return ErrNotLoaded
	}
	return err
}

// ask sends a request and returns the error that it is answered, if any. Answers
// claim to be one of many (NLM_F_MULTI) and nothing follows them, so they are read raw.
func ask(request netlink.Message) error {
	s, err := openSocket(0, 1, dumpBuffer, plain)
	if err != nil {
		return err
	}
	defer s.Close()
	request.Header.Length = uint32(headerLen + len(request.Data))
	b, err := request.MarshalBinary()
	if err != nil {
		return err
	}
	if err := s.Send(b); err != nil {
		return err
	}
	reply, err := s.Recv(time.Second)
	if err != nil {
		return err
	}
	m, _, err := nextMessage(reply)
	if err != nil || m.typ != unix.NLMSG_ERROR {
		return err
	}
	return m.failure()
}

// ReceiveBuffer returns how many bytes the kernel grants to an Open that asks for
// want. What is in force is the double, of which the kernel keeps half to itself.
func ReceiveBuffer(want int) (int, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetReadBuffer(want); err != nil {
		return 0, err
	}
	n, err := conn.ReadBuffer()
	return n / 2, err
}
