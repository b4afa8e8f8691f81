package export

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// reroute is what it takes to ask which address a new socket would send from.
type reroute struct {
	family int
	from   unix.Sockaddr // any address, with the socket's port
	to     unix.Sockaddr
}

func newReroute(e *ends) reroute {
	if e.remote.Addr().Is4() {
		return reroute{unix.AF_INET, &unix.SockaddrInet4{Port: int(e.local.Port())},
			&unix.SockaddrInet4{Port: int(e.remote.Port()), Addr: e.remote.Addr().As4()}}
	}
	return reroute{unix.AF_INET6, &unix.SockaddrInet6{Port: int(e.local.Port())},
		&unix.SockaddrInet6{Port: int(e.remote.Port()), Addr: e.remote.Addr().As16()}}
}

// rerouted reports whether a new socket would send from another address: the route leads
// over another uplink by now, whose provider may drop what comes from the first one's
// address. Without a route there is nothing to tell.
func (s *socket) rerouted() bool {
	if s.raw.Control(s.askBound) != nil || s.err != nil {
		return false
	}
	return s.source != s.local.Addr()
}

// source returns the address. It asks with the socket's own port: where there are
// several routes, that may have a say in which is taken.
func (r *reroute) source() (netip.Addr, error) {
	fd, err := unix.Socket(r.family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, err
	}
	defer unix.Close(fd)
	if err := r.connect(fd); err != nil {
		return netip.Addr{}, err
	}
	local, err := unix.Getsockname(fd)
	switch a := local.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrFrom4(a.Addr), err
	case *unix.SockaddrInet6:
		return netip.AddrFrom16(a.Addr), err
	}
	return netip.Addr{}, err
}

func (r *reroute) connect(fd int) error {
	if r.family == unix.AF_INET6 { // or others' IPv4 ports would be in the way
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if err := sharePort(fd, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, r.from); err != nil {
		return err
	}
	return unix.Connect(fd, r.to)
}

// askCall asks for the source. Only for so long is the port shared: else any user could send
// from it.
func (s *socket) askCall(fd uintptr) {
	if s.err = sharePort(int(fd), 1); s.err == nil {
		s.source, s.err = s.reroute.source()
		_ = sharePort(int(fd), 0) // which it had before
	}
}

// sharePort lets two sockets have one port, as long as both allow it.
func sharePort(fd, may int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, may)
}
