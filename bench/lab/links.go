package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/jsimonetti/rtnetlink/v2/driver"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// HostInterface is the only one of client and server beside the loopback.
const HostInterface = "eth0"

const (
	hostIndex = 2
	setupTime = 10 * time.Second // that the kernel has for each thing it does on its own
)

// port is one end of a cable.
type port struct {
	conn  *rtnetlink.Conn
	index uint32
	mac   net.HardwareAddr
	addrs addresses
}

// network lays the cables and sets addresses, neighbours and routes.
func (l *Lab) network(o Options) error {
	lan, client, err := join(l.Router, string(LAN), lanAddresses(), l.Client, clientAddresses())
	if err != nil {
		return fmt.Errorf("lab: LAN: %w", err)
	}
	defer closePorts(lan, client)
	wan, server, err := join(l.Router, string(WAN), wanAddresses(), l.Server, serverAddresses())
	if err != nil {
		return fmt.Errorf("lab: WAN: %w", err)
	}
	defer closePorts(wan, server)

	defaults := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	if err := client.route(lan.addrs, defaults...); err != nil {
		return fmt.Errorf("lab: client's routes: %w", err)
	}
	// No IPv4 route to the LAN: only what is translated comes back.
	if err := server.route(wan.addrs, netip.MustParsePrefix(LANIPv6)); err != nil {
		return fmt.Errorf("lab: server's routes: %w", err)
	}
	behindServer := o.BehindServer
	if len(o.Internet) > 0 {
		behindServer = slices.Concat(behindServer, defaults)
	}
	if err := errors.Join(
		lan.route(client.addrs, o.BehindClient...), wan.route(server.addrs, behindServer...),
	); err != nil {
		return fmt.Errorf("lab: router's routes: %w", err)
	}
	if err := l.internet(o.Internet); err != nil {
		return fmt.Errorf("lab: server's addresses: %w", err)
	}
	return l.guest(server, wan)
}

// internet gives the server more addresses.
func (l *Lab) internet(addrs []netip.Addr) error {
	lo, err := openPort(l.Server, "lo", addresses{})
	if err != nil {
		return err
	}
	defer closePorts(lo)
	for _, addr := range addrs {
		if err := lo.addAddress(addr, uint8(addr.BitLen())); err != nil {
			return err
		}
	}
	return nil
}

// guest lays the cable of the second LAN, if there is one.
func (l *Lab) guest(server, wan *port) error {
	if l.Guest == nil {
		return nil
	}
	lan, guest, err := join(l.Router, string(GuestLAN), guestLANAddresses(), l.Guest,
		guestAddresses())
	if err != nil {
		return fmt.Errorf("lab: second LAN: %w", err)
	}
	defer closePorts(lan, guest)
	err = errors.Join(
		guest.route(lan.addrs, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")),
		server.route(wan.addrs, netip.MustParsePrefix(GuestLANIPv6)))
	if err != nil {
		return fmt.Errorf("lab: second LAN's routes: %w", err)
	}
	return nil
}

// join connects an interface of the router to the host's only one. On return
// both carry packets.
func join(
	router *Namespace, name string, routerAddrs addresses, host *Namespace, hostAddrs addresses,
) (a, b *port, err error) {
	if err := layCable(router, name, host); err != nil {
		return nil, nil, fmt.Errorf("veth: %w", err)
	}
	a, err = openPort(router, name, routerAddrs)
	if err != nil {
		return nil, nil, err
	}
	b, err = openPort(host, HostInterface, hostAddrs)
	if err != nil {
		closePorts(a)
		return nil, nil, err
	}
	if err := configure(a, b); err != nil {
		closePorts(a, b)
		return nil, nil, err
	}
	return a, b, nil
}

// layCable numbers both interfaces itself. If they had the same number in their
// namespaces, the kernel would take one for an interface without a peer, and a
// second to see its carrier (linkwatch_urgent_event); and it follows the peer's
// number only beside one of the first (veth_newlink).
func layCable(router *Namespace, name string, host *Namespace) error {
	conn, err := dial(router)
	if err != nil {
		return err
	}
	defer conn.Close()
	peer := &rtnetlink.LinkMessage{Index: hostIndex, Attributes: &rtnetlink.LinkAttributes{
		Name:  HostInterface,
		NetNS: rtnetlink.NetNSForFD(uint32(host.FD())),
	}}
	return conn.Link.New(&rtnetlink.LinkMessage{Index: routerIndex(name),
		Attributes: &rtnetlink.LinkAttributes{
			Name: name,
			Info: &rtnetlink.LinkInfo{Kind: "veth", Data: &driver.Veth{PeerInfo: peer}},
		}})
}

func routerIndex(name string) uint32 {
	switch Side(name) {
	case LAN:
		return hostIndex + 1
	case WAN:
		return hostIndex + 2
	}
	return hostIndex + 3
}

func dial(n *Namespace) (*rtnetlink.Conn, error) {
	return rtnetlink.Dial(&netlink.Config{NetNS: n.FD()})
}

// loopbackUp lets a namespace's processes reach themselves.
func loopbackUp(n *Namespace) error {
	p, err := openPort(n, "lo", addresses{})
	if err != nil {
		return err
	}
	defer closePorts(p)
	return p.up()
}

func openPort(n *Namespace, name string, addrs addresses) (*port, error) {
	conn, err := dial(n)
	if err != nil {
		return nil, err
	}
	p := &port{conn: conn, addrs: addrs}
	link, err := p.find(func(l *rtnetlink.LinkMessage) bool { return l.Attributes.Name == name })
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p.index, p.mac = link.Index, link.Attributes.Address
	return p, nil
}

func closePorts(ports ...*port) {
	for _, p := range ports {
		p.conn.Close()
	}
}

func (p *port) find(is func(*rtnetlink.LinkMessage) bool) (*rtnetlink.LinkMessage, error) {
	links, err := p.conn.Link.List()
	if err != nil {
		return nil, err
	}
	for i := range links {
		if links[i].Attributes != nil && is(&links[i]) {
			return &links[i], nil
		}
	}
	return nil, errors.New("no such interface")
}

func configure(a, b *port) error {
	if err := errors.Join(a.up(), b.up()); err != nil {
		return fmt.Errorf("up: %w", err)
	}
	if err := errors.Join(a.waitUp(), b.waitUp()); err != nil {
		return err
	}
	if err := errors.Join(a.address(), b.address()); err != nil {
		return fmt.Errorf("addresses: %w", err)
	}
	if err := errors.Join(a.waitLocal(), b.waitLocal()); err != nil {
		return err
	}
	// Known for good, so that no packet waits for a neighbour or is lost there.
	if err := errors.Join(a.neighbour(b), b.neighbour(a)); err != nil {
		return fmt.Errorf("neighbours: %w", err)
	}
	return nil
}

func (p *port) up() error {
	return p.conn.Link.Set(&rtnetlink.LinkMessage{
		Index: p.index, Flags: unix.IFF_UP, Change: unix.IFF_UP,
	})
}

// waitUp waits until the kernel has seen the carrier and given the interface its
// queue: until then it drops packets without a trace.
func (p *port) waitUp() error {
	return eventually("the interface is down", func() (bool, error) {
		link, err := p.find(func(l *rtnetlink.LinkMessage) bool { return l.Index == p.index })
		return err == nil && link.Attributes.OperationalState == rtnetlink.OperStateUp, err
	})
}

// waitLocal waits until packets to the IPv6 address are taken for the port's own.
// Even without duplicate address detection the kernel adds that route later, from
// a work queue (addrconf_dad_work), and loses what comes before.
func (p *port) waitLocal() error {
	return eventually("the IPv6 address has no route", func() (bool, error) {
		routes, err := p.conn.Route.List()
		return slices.ContainsFunc(routes, func(r rtnetlink.RouteMessage) bool {
			return r.Type == unix.RTN_LOCAL && r.Attributes.Dst.Equal(p.addrs.v6.AsSlice())
		}), err
	})
}

// eventually waits for what the kernel does on its own.
func eventually(otherwise string, is func() (bool, error)) error {
	for deadline := time.Now().Add(setupTime); ; time.Sleep(time.Millisecond) {
		if done, err := is(); done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s after %v", otherwise, setupTime)
		}
	}
}

func (p *port) address() error {
	return errors.Join(p.addAddress(p.addrs.v4, 24), p.addAddress(p.addrs.v6, 64))
}

func (p *port) addAddress(addr netip.Addr, bits uint8) error {
	attrs := &rtnetlink.AddressAttributes{Address: addr.AsSlice(), Local: addr.AsSlice()}
	if addr.Is6() {
		attrs.Flags = unix.IFA_F_NODAD
	}
	return p.conn.Address.New(&rtnetlink.AddressMessage{
		Family: familyOf(addr), PrefixLength: bits, Index: p.index, Attributes: attrs,
	})
}

func (p *port) neighbour(other *port) error {
	var errs []error
	for _, addr := range other.addrs.both() {
		errs = append(errs, p.conn.Neigh.New(&rtnetlink.NeighMessage{
			Family: uint16(familyOf(addr)), Index: p.index, State: unix.NUD_PERMANENT,
			Attributes: &rtnetlink.NeighAttributes{
				Address: addr.AsSlice(), LLAddress: other.mac, IfIndex: p.index,
			},
		}))
	}
	return errors.Join(errs...)
}

// route sends what is for the networks to the gateway.
func (p *port) route(gateway addresses, networks ...netip.Prefix) error {
	var errs []error
	for _, network := range networks {
		family := familyOf(network.Addr())
		via, err := gateway.of(family)
		if err != nil {
			return err
		}
		errs = append(errs, p.conn.Route.Add(&rtnetlink.RouteMessage{
			Family: family, DstLength: uint8(network.Bits()), Table: unix.RT_TABLE_MAIN,
			Protocol: unix.RTPROT_STATIC, Type: unix.RTN_UNICAST,
			Attributes: rtnetlink.RouteAttributes{
				Dst: network.Addr().AsSlice(), Gateway: via.AsSlice(), OutIface: p.index,
			},
		}))
	}
	return errors.Join(errs...)
}

func familyOf(addr netip.Addr) uint8 {
	if addr.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
