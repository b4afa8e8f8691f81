package export

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// sourceQuery asks the kernel which address a new socket would send from.
type sourceQuery struct {
	device string // that the socket is bound to, or ""
	family int
	from   unix.Sockaddr // the unspecified address, with the socket's port
	to     unix.Sockaddr
}

func newSourceQuery(a *addressPair, device string) sourceQuery {
	if a.remote.Addr().Is4() {
		return sourceQuery{device, unix.AF_INET, &unix.SockaddrInet4{Port: int(a.local.Port())},
			&unix.SockaddrInet4{Port: int(a.remote.Port()), Addr: a.remote.Addr().As4()}}
	}
	return sourceQuery{device, unix.AF_INET6, &unix.SockaddrInet6{Port: int(a.local.Port())},
		&unix.SockaddrInet6{Port: int(a.remote.Port()), Addr: a.remote.Addr().As16()}}
}

// sourceChanged reports whether a new socket would send from another address: the route goes
// through another uplink by now, whose provider may drop datagrams from the old address. It
// returns false if there is no route.
func (s *socket) sourceChanged() bool {
	if s.raw.Control(s.querySourceBound) != nil || s.err != nil {
		return false
	}
	return s.source != s.local.Addr()
}

// source returns the address. It uses the socket's own port, since that may decide between
// several routes.
func (q *sourceQuery) source() (netip.Addr, error) {
	fd, err := unix.Socket(q.family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return netip.Addr{}, err
	}
	defer unix.Close(fd)
	if err := q.connect(fd); err != nil {
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

func (q *sourceQuery) connect(fd int) error {
	if q.family == unix.AF_INET6 { // otherwise other sockets' IPv4 ports could make bind fail
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return err
		}
	}
	if err := sharePort(fd, 1); err != nil {
		return err
	}
	if q.device != "" {
		if err := unix.BindToDevice(fd, q.device); err != nil {
			return err
		}
	}
	if err := unix.Bind(fd, q.from); err != nil {
		return err
	}
	return unix.Connect(fd, q.to)
}

// querySourceCall queries the source. The port is shared only meanwhile: any user could send from a
// shared port.
func (s *socket) querySourceCall(fd uintptr) {
	if s.err = sharePort(int(fd), 1); s.err == nil {
		s.source, s.err = s.sourceQuery.source()
		_ = sharePort(int(fd), 0) // can't fail: it is the value of before
	}
}

// sharePort sets whether another socket may have the same port (1) or not (0), if it allows that
// as well.
func sharePort(fd, on int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, on)
}
