package export

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// sendBuffer holds what a dump brings at once while a slow link sends it: the kernel
// doubles it and counts some 2300 octets for each datagram of 1400.
const sendBuffer = 4 << 20

// socket is a connected UDP socket. It never waits: a full buffer is an error. Its
// calls allocate nothing, hence the functions that are bound once.
type socket struct {
	ends
	reroute reroute
	conn    *net.UDPConn
	raw     syscall.RawConn

	octets []byte     // to send
	value  int        // of an option
	source netip.Addr // that a new one would have
	err    error      // of the last call

	errors errorQueue

	sendBound                                      func(fd uintptr) bool
	mtuBound, breakableBound, askBound, errorBound func(fd uintptr)
}

// ends are the addresses of a connection.
type ends struct{ local, remote netip.AddrPort }

func newSocket(conn *net.UDPConn) (*socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, raw: raw, ends: ends{unmapped(conn.LocalAddr()), unmapped(conn.RemoteAddr())}}
	s.sendBound, s.mtuBound, s.breakableBound, s.askBound = s.sendCall, s.mtuCall, s.breakableCall, s.askCall
	s.errorBound = s.errors.read
	s.reroute = newReroute(&s.ends)
	if err := errors.Join(raw.Control(prepare), reportICMP(raw, s.v6())); err != nil {
		return nil, err
	}
	return s, s.breakable(true)
}

// prepare gives a socket its send buffer, or without CAP_NET_ADMIN as much of it as
// the system grants (net.core.wmem_max). It does without what it can't have.
func prepare(fd uintptr) {
	if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
}

func unmapped(a net.Addr) netip.AddrPort {
	return withoutZone(a.(*net.UDPAddr).AddrPort())
}

// withoutZone is an address as conntrack has it.
func withoutZone(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// are reports whether t, of UDP, is the connection between these ends.
func (e *ends) are(t *conntrack.Tuple) bool { return t.SrcPort == e.local.Port() && e.join(t) }

// join reports whether t, of UDP, is one between these ends from any port.
func (e *ends) join(t *conntrack.Tuple) bool {
	return t.DstPort == e.remote.Port() && t.Dst.Netip() == e.remote.Addr() && t.Src.Netip() == e.local.Addr()
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

// mtu returns how large an IPv4 packet gets to the other end whole, as far as the
// kernel knows: from the route, its interface, and from what was refused on the way.
func (s *socket) mtu() (int, error) {
	if err := s.raw.Control(s.mtuBound); err != nil {
		return 0, err
	}
	return s.value, s.err
}

func (s *socket) mtuCall(fd uintptr) {
	s.value, s.err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU)
}

// breakable says whether links on the way may break IPv4 datagrams into fragments.
// Of IPv6 ones they never do.
func (s *socket) breakable(may bool) error {
	if s.v6() {
		return nil
	}
	if s.value = unix.IP_PMTUDISC_DO; may {
		s.value = unix.IP_PMTUDISC_DONT
	}
	if err := s.raw.Control(s.breakableBound); err != nil {
		return err
	}
	return s.err
}

func (s *socket) breakableCall(fd uintptr) {
	s.err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, s.value)
}
