package export

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// sendBuffer has room for the datagrams of a whole dump while a slow link sends them. The kernel
// doubles it, and charges some 2300 octets for a datagram of 1400.
const sendBuffer = 4 << 20

// socket is a connected UDP socket. It never blocks: a full buffer is an error. The bound
// functions exist so that its calls don't allocate.
type socket struct {
	addressPair
	sourceQuery sourceQuery
	conn        *net.UDPConn
	raw         syscall.RawConn

	device string     // that it is bound to, or ""
	octets []byte     // to send
	value  int        // of an option
	source netip.Addr // that a new socket would send from
	err    error      // of the last call

	errors errorQueue

	sendBound                                                   func(fd uintptr) bool
	mtuBound, allowFragmentsBound, querySourceBound, errorBound func(fd uintptr)
	deviceBound                                                 func(fd uintptr)
}

// addressPair holds the two addresses of a connection, without zones.
type addressPair struct{ local, remote netip.AddrPort }

// newSocket returns a socket that is bound to a device, or with "" to none.
func newSocket(conn *net.UDPConn, device string) (*socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{
		conn: conn, raw: raw, device: device,
		addressPair: addressPair{unmapped(conn.LocalAddr()), unmapped(conn.RemoteAddr())},
	}
	s.sendBound, s.mtuBound, s.errorBound = s.sendCall, s.mtuCall, s.errors.read
	s.allowFragmentsBound, s.querySourceBound = s.allowFragmentsCall, s.querySourceCall
	s.deviceBound = s.deviceCall
	s.sourceQuery = newSourceQuery(&s.addressPair, device)
	if err := errors.Join(raw.Control(prepare), reportICMP(raw, s.v6())); err != nil {
		return nil, err
	}
	return s, s.allowFragments(true)
}

// prepare sets the size of the send buffer; without CAP_NET_ADMIN net.core.wmem_max limits it.
// An error leaves the default.
func prepare(fd uintptr) {
	if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
}

func unmapped(a net.Addr) netip.AddrPort {
	return withoutZone(a.(*net.UDPAddr).AddrPort())
}

// withoutZone returns an address as conntrack has it.
func withoutZone(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// matches reports whether t, a tuple of UDP, has these addresses and ports, or with anyPort at
// least all but the source port.
func (a *addressPair) matches(t *conntrack.Tuple, anyPort bool) bool {
	return t.DstPort == a.remote.Port() && (anyPort || t.SrcPort == a.local.Port()) &&
		a.sameAddresses(t)
}

func (a *addressPair) sameAddresses(t *conntrack.Tuple) bool {
	return t.Dst.Netip() == a.remote.Addr() && t.Src.Netip() == a.local.Addr()
}

func (s *socket) v6() bool { return s.remote.Addr().Is6() }

// send sends one datagram.
func (s *socket) send(b []byte) error {
	s.octets = b
	if err := s.raw.Write(s.sendBound); err != nil {
		return err
	}
	return s.err
}

func (s *socket) sendCall(fd uintptr) bool {
	s.err = unix.Send(int(fd), s.octets, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return true
}

// mtu returns the path MTU of IPv4, as far as the kernel knows it: from the route, its interface,
// and ICMP errors.
func (s *socket) mtu() (int, error) {
	if err := s.raw.Control(s.mtuBound); err != nil {
		return 0, err
	}
	return s.value, s.err
}

func (s *socket) mtuCall(fd uintptr) {
	s.value, s.err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU)
}

// allowFragments sets whether links on the path may fragment IPv4 datagrams. IPv6 ones they
// never do.
func (s *socket) allowFragments(may bool) error {
	if s.v6() {
		return nil
	}
	if s.value = unix.IP_PMTUDISC_DO; may {
		s.value = unix.IP_PMTUDISC_DONT
	}
	if err := s.raw.Control(s.allowFragmentsBound); err != nil {
		return err
	}
	return s.err
}

func (s *socket) allowFragmentsCall(fd uintptr) {
	s.err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, s.value)
}
