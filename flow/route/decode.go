package route

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// device is what a link message says of a network interface.
type device struct {
	index   uint32
	name    string
	alias   string
	kind    string // "vlan", "bridge", "wireguard"; "" is hardware
	arp     uint16 // ARPHRD_*
	carries uint32 // IFF_UP: the administrator lets it; IFF_LOWER_UP: it has a carrier
	parent  uint32 // of a VLAN, in the same namespace, or 0
	master  uint32 // the bridge or the like that it belongs to, or 0
	vlan    uint16
}

// decodeDevice reads a link message. ok is false for the messages of bridge ports and
// other families, and for wireless events: these lack all else (rtnetlink_ifinfo_prep).
// The library can't: it refuses hardware addresses of one byte (ARCnet, Phonet) and
// statistics of a size that it doesn't know, which grow with the kernel.
func decodeDevice(body []byte) (d device, ok bool, err error) {
	if len(body) < unix.SizeofIfInfomsg {
		return d, false, errMalformed
	}
	if body[0] != unix.AF_UNSPEC {
		return d, false, nil
	}
	d = device{
		arp: binary.NativeEndian.Uint16(body[2:]), index: binary.NativeEndian.Uint32(body[4:]),
		carries: binary.NativeEndian.Uint32(body[8:]) & (unix.IFF_UP | unix.IFF_LOWER_UP),
	}
	ok, elsewhere := true, false
	err = eachAttribute(body[unix.SizeofIfInfomsg:], func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.IFLA_IFNAME:
			d.name = a.String()
		case unix.IFLA_IFALIAS:
			d.alias = a.String()
		case unix.IFLA_LINK:
			d.parent = a.Uint32()
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_MASTER:
			d.master = a.Uint32()
		case unix.IFLA_LINKINFO:
			a.Do(d.addKind)
		case unix.IFLA_WIRELESS:
			ok = false
		}
	})
	if elsewhere {
		d.parent = 0
	}
	return d, ok && err == nil, err
}

// addKind reads the kind of an interface and the id of a VLAN.
func (d *device) addKind(b []byte) error {
	return eachAttribute(b, func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.IFLA_INFO_KIND: // comes before the data (rtnl_link_info_fill)
			d.kind = a.String()
		case unix.IFLA_INFO_DATA:
			if d.kind == "vlan" {
				a.Do(d.addVLAN)
			}
		}
	})
}

func (d *device) addVLAN(b []byte) error {
	return eachAttribute(b, func(a *netlink.AttributeDecoder) {
		if a.Type() == unix.IFLA_VLAN_ID {
			d.vlan = a.Uint16()
		}
	})
}

// eachAttribute reads the attributes that the library leaves out.
func eachAttribute(b []byte, read func(a *netlink.AttributeDecoder)) error {
	a, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		return err
	}
	for a.Next() {
		read(a)
	}
	return a.Err()
}

func valueOf[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// address is one of an interface's.
type address struct {
	addr      conntrack.Addr
	network   conntrack.Addr // an address in its network, which is the peer's if there is one
	broadcast conntrack.Addr // that the administrator has set, or zero
	bits      uint8
	index     uint32
}

func decodeAddress(body []byte) (ad address, err error) {
	var m rtnetlink.AddressMessage
	if err := m.UnmarshalBinary(body); err != nil {
		return ad, err
	}
	ad.bits, ad.index = m.PrefixLength, m.Index
	a := valueOf(m.Attributes)
	ip := a.Local // where there is one, Address is the peer's
	if ip == nil && m.Family == unix.AF_INET {
		ip = net.IPv4zero // the kernel leaves it out (inet_fill_ifaddr)
	} else if ip == nil {
		ip = a.Address
	}
	if ad.addr, err = addrOf(ip); err != nil {
		return ad, err
	}
	ad.network = ad.addr
	if a.Address != nil {
		ad.network, err = addrOf(a.Address)
	}
	if a.Broadcast != nil && err == nil {
		ad.broadcast, err = addrOf(a.Broadcast)
	}
	return ad, err
}

func addrOf(ip net.IP) (conntrack.Addr, error) {
	a, ok := netip.AddrFromSlice(ip)
	if !ok {
		return conntrack.Addr{}, errMalformed
	}
	return conntrack.AddrFrom(a), nil
}

// prefix is a network, an IPv4 one in its mapped form: bits of at least 96.
type prefix struct {
	addr conntrack.Addr
	bits uint8 // of 128
}

// prefixOf returns a network of a family: all of its addresses if ip is empty.
func prefixOf(family, bits uint8, ip net.IP) (p prefix, err error) {
	p = everything(family, bits)
	if ip != nil {
		p.addr, err = addrOf(ip)
	}
	return p, err
}

// route is what matters here of a route; its next hops don't.
type route struct {
	to, from prefix // all addresses of the family if it names none
	unicast  bool
	out      []uint32 // interfaces: several of a multipath route
	object   bool     // next hops are an object, and out may be empty
}

// widest is how long the prefix of a default route may be: some come in halves.
const widest = 3

// isDefault reports whether a route is to all the world, or to an eighth of it.
func (r *route) isDefault() bool {
	bits := r.to.bits
	if isMapped(&r.to.addr) && bits >= mappedBits {
		bits -= mappedBits
	}
	return r.unicast && bits <= widest
}

// decodeRoute reads a unicast route message.
func decodeRoute(body []byte) (r route, err error) {
	var m rtnetlink.RouteMessage
	if err := m.UnmarshalBinary(body); err != nil {
		return r, err
	}
	var source net.IP
	err = eachAttribute(body[unix.SizeofRtMsg:], func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.RTA_SRC:
			source = a.Bytes()
		case rtaNHID:
			r.object = true
		}
	})
	if err != nil {
		return r, err
	}
	to, err := prefixOf(m.Family, m.DstLength, m.Attributes.Dst)
	from, err2 := prefixOf(m.Family, m.SrcLength, source)
	r.to, r.from, r.unicast = to, from, m.Type == unix.RTN_UNICAST
	if m.Attributes.OutIface != 0 {
		r.out = append(r.out, m.Attributes.OutIface)
	}
	for i := range m.Attributes.Multipath {
		r.out = append(r.out, m.Attributes.Multipath[i].Hop.IfIndex)
	}
	return r, errors.Join(err, err2)
}

// rtaNHID is RTA_NH_ID of linux/rtnetlink.h.
const rtaNHID = 30

// stream is what the packets of one multicast source to one group are.
type stream struct{ from, to conntrack.Addr }

// multicastRoute is how the kernel forwards a stream.
type multicastRoute struct {
	stream
	table uint32
	in    uint32
	out   []uint32 // in the kernel's order
}

// decodeMulticastRoute reads a message of the families RTNL_FAMILY_IPMR and
// RTNL_FAMILY_IP6MR (mr_fill_mroute). The library can't: it takes RTA_EXPIRES for 32 bits.
func decodeMulticastRoute(body []byte) (r multicastRoute, err error) {
	family := uint8(unix.AF_INET)
	if body[0] == familyIP6MR {
		family = unix.AF_INET6
	}
	r.from, r.to = everything(family, 0).addr, everything(family, 0).addr
	err2 := eachAttribute(body[unix.SizeofRtMsg:], func(a *netlink.AttributeDecoder) {
		switch a.Type() {
		case unix.RTA_SRC:
			r.from, err = addrOf(a.Bytes())
		case unix.RTA_DST:
			r.to, err = addrOf(a.Bytes())
		case unix.RTA_TABLE:
			r.table = a.Uint32()
		case unix.RTA_IIF:
			r.in = a.Uint32()
		case unix.RTA_MULTIPATH:
			a.Do(r.addOutputs)
		}
	})
	return r, errors.Join(err, err2)
}

// addOutputs reads a list of struct rtnexthop.
func (r *multicastRoute) addOutputs(b []byte) error {
	for len(b) > 0 {
		if len(b) < unix.SizeofRtNexthop {
			return errMalformed
		}
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtNexthop || length > len(b) {
			return errMalformed
		}
		r.out = append(r.out, binary.NativeEndian.Uint32(b[4:]))
		b = b[min(align4(length), len(b)):]
	}
	return nil
}

// The families of multicast routes, RTNL_FAMILY_* of linux/rtnetlink.h.
const (
	familyIPMR  = 128
	familyIP6MR = 129
)

// rule says which properties of a packet, besides its mark, a policy rule chooses by.
type rule struct {
	to, from prefix
	input    bool // the interface that it comes in by, or the VRF of that one
	ports    bool // its protocol or ports
}

// decodeRule reads a rule message. Rules that the library can't read choose by
// anything.
func decodeRule(body []byte) (r rule, err error) {
	var m rtnetlink.RuleMessage
	if err := m.UnmarshalBinary(body); err != nil {
		if len(body) < unix.SizeofRtMsg {
			return r, err
		}
		return rule{to: everything(body[0], 0), from: everything(body[0], 0), input: true,
			ports: true}, nil
	}
	a := valueOf(m.Attributes)
	to, err := prefixOf(m.Family, m.DstLength, valueOf(a.Dst))
	from, err2 := prefixOf(m.Family, m.SrcLength, valueOf(a.Src))
	return rule{
		to: to, from: from,
		input: a.IIFName != nil || valueOf(a.L3MDev) != 0,
		ports: a.IPProto != nil || a.SPortRange != nil || a.DPortRange != nil,
	}, errors.Join(err, err2)
}

func isIP(family uint8) bool { return family == unix.AF_INET || family == unix.AF_INET6 }
