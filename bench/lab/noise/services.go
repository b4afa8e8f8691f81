package noise

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// A payload begins with one of these. Only what is asked is answered.
const (
	asking    = '?'
	answering = '!'
)

// services are the router's own on its LAN: what comes to them makes connections that
// conntrack keeps.
type services struct {
	conns []net.PacketConn
	tasks sync.WaitGroup
}

// service listens on a port and answers to an address; the zero one is who asked.
type service struct {
	network string
	listen  netip.AddrPort // a group is joined
	answer  func(from netip.AddrPort) netip.AddrPort
}

func toSender(from netip.AddrPort) netip.AddrPort { return from }

func toGroup(group netip.AddrPort) func(netip.AddrPort) netip.AddrPort {
	return func(netip.AddrPort) netip.AddrPort { return group }
}

// toClient answers DHCP: a client without an address is reached by a broadcast.
func toClient(from netip.AddrPort) netip.AddrPort {
	if from.Addr().IsUnspecified() {
		return at(everybody, 68)
	}
	return from
}

func (s *services) open(router *lab.Namespace) error {
	for _, service := range []service{
		{"udp4", at(nobody, 67), toClient},
		{"udp4", at(nobody, 137), toSender},
		{"udp4", at(nobody, 138), nil},
		{"udp4", mdns, toGroup(mdns)},
		{"udp6", mdns6, toGroup(mdns6)},
		{"udp4", ssdp, toSender},
		{"udp6", ssdp6, toSender},
		{"udp4", llmnr, toSender},
		{"udp6", llmnr6, toSender},
	} {
		if err := s.serve(router, service); err != nil {
			return err
		}
	}
	return nil
}

// serve binds to the LAN's interface, as such services usually are.
func (s *services) serve(router *lab.Namespace, service service) error {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		err := raw.Control(func(fd uintptr) {
			failed = unix.BindToDevice(int(fd), string(lab.LAN))
		})
		return errors.Join(err, failed)
	}}
	return router.Do(func() error {
		lan, err := net.InterfaceByName(string(lab.LAN))
		if err != nil {
			return err
		}
		local := netip.AddrPortFrom(netip.IPv4Unspecified(), service.listen.Port())
		if service.listen.Addr().Is6() {
			local = netip.AddrPortFrom(netip.IPv6Unspecified(), local.Port())
		}
		conn, err := config.ListenPacket(context.Background(), service.network, local.String())
		if err != nil {
			return err
		}
		s.conns = append(s.conns, conn)
		if err := join(conn, lan, service.listen.Addr()); err != nil {
			return err
		}
		s.tasks.Go(func() { answer(conn.(*net.UDPConn), service) })
		return nil
	})
}

// join joins a group, and lets the router hear itself there, as by default.
func join(conn net.PacketConn, lan *net.Interface, group netip.Addr) error {
	to := &net.UDPAddr{IP: group.AsSlice()}
	switch {
	case !group.IsMulticast():
		return nil
	case group.Is4():
		p := ipv4.NewPacketConn(conn)
		return errors.Join(p.JoinGroup(lan, to), p.SetMulticastInterface(lan))
	}
	p := ipv6.NewPacketConn(conn)
	return errors.Join(p.JoinGroup(lan, to), p.SetMulticastInterface(lan))
}

func answer(conn *net.UDPConn, service service) {
	for b := make([]byte, 2000); ; {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if n > 0 && b[0] == asking && service.answer != nil {
			b[0] = answering
			_, _ = conn.WriteToUDPAddrPort(b[:n], service.answer(from)) // who asked may be gone
		}
	}
}

func (s *services) close() error {
	var errs []error
	for _, conn := range s.conns {
		errs = append(errs, conn.Close())
	}
	s.conns = nil
	s.tasks.Wait()
	return errors.Join(errs...)
}
