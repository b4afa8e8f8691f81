package route

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// device is what a link message tells of a network interface.
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

// decodeDevice reads struct ifinfomsg and what follows. ok is false for what tells
// of a bridge's ports and other families, and of wireless events: these lack all else
// (rtnetlink_ifinfo_prep).
func decodeDevice(m *message) (d device, ok bool, err error) {
	a := m.attributes(unix.SizeofIfInfomsg)
	if a.err != nil || m.body[0] != unix.AF_UNSPEC {
		return d, false, a.err
	}
	d.arp = binary.NativeEndian.Uint16(m.body[2:])
	d.index = binary.NativeEndian.Uint32(m.body[4:])
	d.carries = binary.NativeEndian.Uint32(m.body[8:]) & (unix.IFF_UP | unix.IFF_LOWER_UP)
	elsewhere := false
	for a.next() {
		switch a.typ {
		case unix.IFLA_IFNAME:
			d.name = a.text()
		case unix.IFLA_IFALIAS:
			d.alias = a.text()
		case unix.IFLA_LINK:
			d.parent = a.u32()
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_WIRELESS:
			return d, false, nil
		case unix.IFLA_MASTER:
			d.master = a.u32()
		case unix.IFLA_LINKINFO:
			if err := d.decodeInfo(a.nested()); err != nil {
				return d, false, err
			}
		}
	}
	if elsewhere {
		d.parent = 0
	}
	return d, a.err == nil, a.err
}

func (d *device) decodeInfo(a attributes) error {
	for a.next() {
		switch a.typ {
		case unix.IFLA_INFO_KIND:
			d.kind = a.text()
		case unix.IFLA_INFO_DATA:
			if d.kind != "vlan" { // kind goes first
				continue
			}
			for v := a.nested(); v.next(); {
				if v.typ == unix.IFLA_VLAN_ID {
					d.vlan = v.u16()
				}
			}
		}
	}
	return a.err
}

// address is one of an interface's.
type address struct {
	addr  conntrack.Addr
	bits  uint8
	index uint32
}

// decodeAddress reads struct ifaddrmsg and what follows.
func decodeAddress(m *message) (ad address, err error) {
	a := m.attributes(unix.SizeofIfAddrmsg)
	if a.err != nil {
		return ad, a.err
	}
	ad.bits, ad.index = m.body[1], binary.NativeEndian.Uint32(m.body[4:])
	local := false
	for a.next() {
		switch {
		case a.typ == unix.IFA_LOCAL: // IFA_ADDRESS is the peer's then
			ad.addr, local = a.address(), true
		case a.typ == unix.IFA_ADDRESS && !local:
			ad.addr = a.address()
		}
	}
	return ad, a.err
}

// prefix is a network, an IPv4 one in its mapped form: bits of at least 96.
type prefix struct {
	addr conntrack.Addr
	bits uint8 // of 128
}

// route is what matters of a route: not where exactly it leads.
type route struct {
	to, from prefix // of all addresses of the family where it names none
	unicast  bool
	out      []uint32 // interfaces: several of a multipath route
	object   bool     // next hops are an object, and out may be empty
}

// widest is how long the prefix of a default route may be: some come in halves.
const widest = 3

// isDefault tells routes to all the world, or to an eighth of it.
func (r *route) isDefault() bool {
	bits := r.to.bits
	if isMapped(&r.to.addr) && bits >= mappedBits {
		bits -= mappedBits
	}
	return r.unicast && bits <= widest
}

// decodeRoute reads struct rtmsg and what follows. ok is false for other families
// than IPv4 and IPv6.
func decodeRoute(m *message) (r route, ok bool, err error) {
	a := m.attributes(unix.SizeofRtMsg)
	if a.err != nil || !isIP(m.body[0]) {
		return r, false, a.err
	}
	r.to, r.from = everything(m.body[0], m.body[1]), everything(m.body[0], m.body[2])
	r.unicast = m.body[7] == unix.RTN_UNICAST
	for a.next() {
		switch a.typ {
		case unix.RTA_DST:
			r.to.addr = a.address()
		case unix.RTA_SRC:
			r.from.addr = a.address()
		case unix.RTA_OIF:
			r.out = append(r.out, a.u32())
		case unix.RTA_MULTIPATH:
			r.decodeNextHops(&a)
		case rtaNHID:
			r.object = true
		}
	}
	return r, a.err == nil, a.err
}

// rtaNHID is RTA_NH_ID of linux/rtnetlink.h.
const rtaNHID = 30

// decodeNextHops reads a list of struct rtnexthop.
func (r *route) decodeNextHops(a *attributes) {
	for b := a.value; len(b) >= unix.SizeofRtNexthop; {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtNexthop || length > len(b) {
			a.err = errMalformed
			return
		}
		r.out = append(r.out, binary.NativeEndian.Uint32(b[4:]))
		b = b[min(align4(length), len(b)):]
	}
}

// rule is what matters of a policy rule: by what of a packet, other than its mark, it
// chooses.
type rule struct {
	to, from prefix
	in       string // interface, "" is any
}

// decodeRule reads struct fib_rule_hdr, which is laid out as struct rtmsg, and what
// follows.
func decodeRule(m *message) (r rule, ok bool, err error) {
	a := m.attributes(unix.SizeofRtMsg)
	if a.err != nil || !isIP(m.body[0]) {
		return r, false, a.err
	}
	r.to, r.from = everything(m.body[0], m.body[1]), everything(m.body[0], m.body[2])
	for a.next() {
		switch a.typ {
		case fraDst:
			r.to.addr = a.address()
		case fraSrc:
			r.from.addr = a.address()
		case fraIIFName:
			r.in = a.text()
		}
	}
	return r, a.err == nil, a.err
}

// Attributes of linux/fib_rules.h.
const (
	fraDst     = 1
	fraSrc     = 2
	fraIIFName = 3
)

func isIP(family uint8) bool { return family == unix.AF_INET || family == unix.AF_INET6 }
