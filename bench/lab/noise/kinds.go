package noise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

// action is what an event does.
type action func(context.Context) error

// kind draws events of one kind.
type kind struct {
	name string
	draw func(*Source) action
}

func kinds() []kind {
	return []kind{
		{"DHCP discover", (*Source).dhcpDiscover},
		{"DHCP renew", (*Source).dhcpRenew},
		{"NetBIOS name", (*Source).netbiosName},
		{"NetBIOS datagram", (*Source).netbiosDatagram},
		{"mDNS", (*Source).multicastDNS},
		{"SSDP", (*Source).discovery},
		{"LLMNR", (*Source).linkLocalName},
		{"groups", (*Source).groups},
		{"arrival", (*Source).arrival},
		{"new address", (*Source).newAddress},
		{"new device", (*Source).newDevice},
		{"broadcast ping", (*Source).broadcastPing},
		{"closed port", (*Source).closedPort},
		{"traceroute", (*Source).traceroute},
		{"unreachable", (*Source).unreachable},
		{"refused", (*Source).refused},
		{"other protocols", (*Source).otherProtocols},
		{"scan", (*Source).scan},
		{"router's broadcast", (*Source).routerBroadcast},
		{"uplink broadcast", (*Source).uplinkBroadcast},
		{"route", (*Source).changeRoute},
		{"rule", (*Source).changeRule},
		{"link", (*Source).flapLink},
	}
}

// host draws one, port a client's port, and chance true once in n times.
func (s *Source) host() host        { return s.hosts[s.rand.IntN(len(s.hosts))] }
func (s *Source) port() uint16      { return uint16(32_768 + s.rand.IntN(28_000)) }
func (s *Source) chance(n int) bool { return s.rand.IntN(n) == 0 }
func (s *Source) question() []byte  { return question(11 + s.rand.IntN(200)) }

// dhcp is the size of DHCP's messages without options.
const dhcp = 300

// question is a payload that a service answers.
func question(size int) []byte { return append([]byte{asking}, make([]byte, size-1)...) }

// says makes a host of the LAN send packets.
func (s *Source) says(h host, packets ...packet) action {
	return func(context.Context) error { return s.lan.send(h.mac, packets...) }
}

// dhcpDiscover comes from a client without an address.
func (s *Source) dhcpDiscover() action {
	return s.says(s.host(), udp(at(nobody, 68), at(everybody, 67), question(dhcp)))
}

func (s *Source) dhcpRenew() action {
	h := s.host()
	return s.says(h, udp(at(h.ipv4, 68), at(routerLAN, 67), question(dhcp)))
}

func (s *Source) netbiosName() action {
	h := s.host()
	return s.says(h, udp(at(h.ipv4, 137), at(lanBroadcast, 137), s.question()))
}

func (s *Source) netbiosDatagram() action {
	h := s.host()
	return s.says(h, udp(at(h.ipv4, 138), at(lanBroadcast, 138), s.question()))
}

// multicastDNS asks the group over IPv4, or over IPv6 from either address.
func (s *Source) multicastDNS() action { return s.asksGroup(mdns, mdns6, 5353) }

func (s *Source) discovery() action { return s.asksGroup(ssdp, ssdp6, s.port()) }

func (s *Source) linkLocalName() action { return s.asksGroup(llmnr, llmnr6, s.port()) }

func (s *Source) asksGroup(group, group6 netip.AddrPort, port uint16) action {
	h := s.host()
	switch s.rand.IntN(3) {
	case 0:
		return s.says(h, udp(at(h.ipv4, port), group, s.question()))
	case 1:
		return s.says(h, udp(at(h.linkLocal, port), group6, s.question()))
	}
	return s.says(h, udp(at(h.privacy, port), group6, s.question()))
}

// groups reports membership in some, or asks for it.
func (s *Source) groups() action {
	h := s.host()
	switch s.rand.IntN(3) {
	case 0:
		return s.says(h, igmp(h.ipv4, allHosts, netip.IPv4Unspecified(), 0x11))
	case 1:
		a, b := ssdp.Addr(), mdns.Addr()
		return s.says(h, igmp(h.ipv4, a, a, 0x16), igmp(h.ipv4, b, b, 0x16))
	}
	return s.says(h, mld(h.linkLocal, mdns6.Addr()))
}

// arrival is what a host sends when it joins the network: it looks for the router, and announces
// itself.
func (s *Source) arrival() action { return s.announce(s.host()) }

func (s *Source) announce(h host) action {
	return func(context.Context) error {
		for _, about := range []netip.Addr{h.ipv4, routerLAN} {
			ask := ether(broadcast, h.mac, unix.ETH_P_ARP, arp(h.mac, h.ipv4, about))
			if err := s.lan.frame(ask); err != nil {
				return err
			}
		}
		return s.lan.send(h.mac,
			neighbour(136, h.linkLocal, allNodes6, h.linkLocal, h.mac),
			neighbour(136, h.privacy, allNodes6, h.privacy, h.mac),
			neighbour(135, h.privacy, routerLAN6, routerLAN6, h.mac))
	}
}

// newAddress is a host that changes its privacy address, and uses it.
func (s *Source) newAddress() action {
	i := s.rand.IntN(len(s.hosts))
	s.hosts[i] = s.hosts[i].withAddress(s.rand.Uint64())
	from, to := at(s.hosts[i].privacy, s.port()), at(serverIPv6, lab.PortSilent)
	return s.arrives(s.hosts[i], udp(from, to, make([]byte, 40)))
}

// newDevice is another device with a known address.
func (s *Source) newDevice() action {
	i := s.rand.IntN(len(s.hosts))
	s.hosts[i] = s.hosts[i].withMAC(s.rand.Uint64())
	from, to := at(s.hosts[i].ipv4, s.port()), at(s.internet, lab.PortAnswer)
	return s.arrives(s.hosts[i], udp(from, to, make([]byte, 40)))
}

// arrives announces a host, which then sends a packet.
func (s *Source) arrives(h host, p packet) action {
	announce, send := s.announce(h), s.says(h, p)
	return func(ctx context.Context) error { return errors.Join(announce(ctx), send(ctx)) }
}

func (s *Source) broadcastPing() action {
	h := s.host()
	return s.says(h, echo(h.ipv4, lanBroadcast, s.port()))
}

// closedPort sends datagrams to a closed port of the server or the router: ICMP errors come back.
func (s *Source) closedPort() action {
	h := s.host()
	switch s.rand.IntN(3) {
	case 0:
		return s.says(h, udp(at(h.ipv4, s.port()), at(routerLAN, 161), s.question()))
	case 1:
		return s.says(h, udp(at(h.privacy, s.port()), at(serverIPv6, 33_434), s.question()))
	}
	return s.says(h, udp(at(h.ipv4, s.port()), at(s.internet, 33_434), s.question()))
}

// traceroute ends at the router.
func (s *Source) traceroute() action {
	h := s.host()
	p := udp(at(h.ipv4, s.port()), at(s.internet, 33_435), s.question())
	p.hops = 1
	return s.says(h, p)
}

// unreachable is a network that the router has no way to, or a neighbour that is off.
func (s *Source) unreachable() action {
	h, to := s.host(), netip.AddrFrom4([4]byte{10, 255, 0, byte(s.rand.IntN(250))})
	if s.lab.Guest != nil && s.chance(2) {
		to = netip.AddrFrom4([4]byte{192, 168, 78, byte(200 + s.rand.IntN(50))})
	}
	return s.says(h, udp(at(h.ipv4, s.port()), at(to, 80), s.question()))
}

// refused opens a TCP connection to a closed port of the server or the router.
func (s *Source) refused() action {
	to := []netip.Addr{s.internet, serverIPv4, serverIPv6, routerLAN, routerLAN6}[s.rand.IntN(5)]
	return func(ctx context.Context) error {
		return s.lab.Client.Do(func() error {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "tcp", at(to, 81).String())
			if err == nil {
				conn.Close()
				return fmt.Errorf("%s listens on port 81", to)
			}
			if !errors.Is(err, unix.ECONNREFUSED) {
				return err
			}
			return nil
		})
	}
}

// otherProtocols are GRE, ESP and one for experiments. Only the client sends them, since NAT can't
// distinguish two senders.
func (s *Source) otherProtocols() action {
	proto := []uint8{unix.IPPROTO_GRE, unix.IPPROTO_ESP, 253}[s.rand.IntN(3)]
	payload := append([]byte{0, 0, 0x08, 0}, make([]byte, 20)...)
	p := packet{from: clientIPv4, to: s.internet, proto: proto, payload: payload}
	return s.says(host{mac: s.lan.own}, p)
}

// scan comes from the Internet, and tries closed ports of the router.
func (s *Source) scan() action {
	from := at(netip.AddrFrom4([4]byte{203, 0, 113, byte(200 + s.rand.IntN(50))}), s.port())
	to := at(routerWAN, uint16(1+s.rand.IntN(1000)))
	p := syn(from, to, s.rand.Uint32())
	if s.chance(3) {
		p = udp(from, to, make([]byte, 30))
	}
	return func(context.Context) error { return s.wan.send(s.wan.own, p) }
}

// routerBroadcast is what the router's own NetBIOS announces to its LAN.
func (s *Source) routerBroadcast() action {
	payload := make([]byte, 11+s.rand.IntN(200))
	return func(ctx context.Context) error {
		return s.lab.Router.Do(func() error {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "udp4", at(lanBroadcast, 138).String())
			if err != nil {
				return err
			}
			_, err = conn.Write(payload)
			return errors.Join(err, conn.Close())
		})
	}
}

// uplinkBroadcast comes from a neighbour on the WAN.
func (s *Source) uplinkBroadcast() action {
	p := udp(at(serverIPv4, 138), at(wanBroadcast, 138), s.question())
	if s.chance(2) {
		p = igmp(serverIPv4, allHosts, netip.IPv4Unspecified(), 0x11)
	}
	return func(context.Context) error { return s.wan.send(s.wan.own, p) }
}

func (s *Source) changeRoute() action {
	i := s.rand.IntN(50)
	return func(context.Context) error { return s.spare.route(s.lab.Router, i) }
}

func (s *Source) changeRule() action {
	i := s.rand.IntN(20)
	return func(context.Context) error { return s.spare.rule(s.lab.Router, i) }
}

func (s *Source) flapLink() action {
	carrier := s.chance(2)
	return func(context.Context) error { return s.spare.flap(s.lab.Router, carrier) }
}
