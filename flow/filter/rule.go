package filter

import (
	"encoding/binary"
	"net/netip"

	"github.com/conntally/conntally/conntrack"
)

// Rule includes or excludes the connections that meet all of its conditions. A
// condition is met by any of its values, and by everything where it has none.
type Rule struct {
	Include bool

	Networks     []netip.Prefix // of either end
	Sources      []netip.Prefix // of the initiator
	Destinations []netip.Prefix // of the responder

	Protocols        []uint8
	Ports            []Ports // of either end; protocols without ports have none
	DestinationPorts []Ports
	Zones            []uint16
	Marks            []Mark
	Interfaces       []string // towards either end
}

// Ports is a range, both included.
type Ports struct{ First, Last uint16 }

// Mark is met by a connection mark m where m & Mask == Value.
type Mark struct{ Value, Mask uint32 }

// rule is a Rule, compiled for matching.
type rule struct {
	include   bool
	protocols protocols

	networks, sources, destinations []network
	ports, destinationPorts         []Ports
	zones                           []uint16
	marks                           []Mark
	interfaces                      []string
}

func compile(r *Rule) rule {
	return rule{
		include: r.Include, protocols: newProtocols(r.Protocols),
		networks: networks(r.Networks), sources: networks(r.Sources),
		destinations: networks(r.Destinations),
		ports:        r.Ports, destinationPorts: r.DestinationPorts,
		zones: r.Zones, marks: r.Marks, interfaces: r.Interfaces,
	}
}

// protocols is a set of IP protocols, a bit each.
type protocols [4]uint64

func newProtocols(list []uint8) (p protocols) {
	if len(list) == 0 {
		return protocols{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}
	}
	for _, n := range list {
		p[n/64] |= 1 << (n % 64)
	}
	return p
}

func (p *protocols) has(n uint8) bool { return p[n/64]>>(n%64)&1 != 0 }

// address is a conntrack.Addr as two numbers.
type address [2]uint64

func split(a *conntrack.Addr) address {
	return address{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
}

// network is met by an address a of its family where a & mask == base.
type network struct {
	base, mask address
	v4         bool
}

func networks(list []netip.Prefix) []network {
	var out []network
	for _, p := range list {
		a := conntrack.AddrFrom(p.Masked().Addr())
		n := network{base: split(&a), v4: p.Addr().Is4()}
		bits := p.Bits()
		if n.v4 {
			bits += 96 // IPv4 stands mapped
		}
		n.mask = address{ones(bits), ones(bits - 64)}
		out = append(out, n)
	}
	return out
}

// ones returns a number with n leading one bits, from 0 to 64.
func ones(n int) uint64 { return ^(^uint64(0) >> max(min(n, 64), 0)) }

func addressIn(list []network, a address, v4 bool) bool {
	for i := range list {
		if n := &list[i]; n.v4 == v4 && a[0]&n.mask[0] == n.base[0] && a[1]&n.mask[1] == n.base[1] {
			return true
		}
	}
	return false
}

func portIn(list []Ports, port uint16) bool {
	for _, r := range list {
		if r.First <= port && port <= r.Last {
			return true
		}
	}
	return false
}

func markIn(list []Mark, mark uint32) bool {
	for _, m := range list {
		if mark&m.Mask == m.Value {
			return true
		}
	}
	return false
}
