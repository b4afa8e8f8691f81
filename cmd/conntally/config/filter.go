package config

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/filter"
)

// The types of values in filters.

// Action is what a filter does; the zero value is none.
type Action uint8

// The actions.
const (
	Include Action = iota + 1
	Exclude
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Action) UnmarshalText(b []byte) error {
	var i uint8
	err := oneOf(&i, b, "include", "exclude")
	if err == nil {
		*a = Include + Action(i)
	}
	return err
}

// IPProto is an IP protocol's number.
type IPProto uint8

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *IPProto) UnmarshalText(b []byte) error {
	names := map[string]IPProto{
		"icmp": conntrack.ProtoICMP, "icmpv6": conntrack.ProtoICMPv6, "tcp": conntrack.ProtoTCP,
		"udp": conntrack.ProtoUDP, "udplite": conntrack.ProtoUDPLite, "sctp": conntrack.ProtoSCTP,
		"dccp": conntrack.ProtoDCCP, "gre": conntrack.ProtoGRE, "esp": 50, "ah": 51,
	}
	if n, ok := names[string(b)]; ok {
		*p = n
		return nil
	}
	n, err := strconv.ParseUint(string(b), 10, 8)
	if err != nil {
		return errors.New(
			`want a number from 0 to 255, or "icmp", "icmpv6", "tcp", ` +
				`"udp", "udplite", "sctp", "dccp", "gre", "esp" or "ah"`)
	}
	*p = IPProto(n)
	return nil
}

// Ports is a range of ports, both included.
type Ports struct{ First, Last uint16 }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Ports) UnmarshalText(b []byte) error {
	low, high, isRange := strings.Cut(string(b), "-")
	if !isRange {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	if err != nil || err2 != nil || first > last {
		return errors.New(`want a port from 0 to 65535, or a range such as "1000-2000"`)
	}
	*p = Ports{uint16(first), uint16(last)}
	return nil
}

// Mark matches each connection mark m with m & Mask == Value.
type Mark struct{ Value, Mask uint32 }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Mark) UnmarshalText(b []byte) error {
	low, high, masked := strings.Cut(string(b), "/")
	if !masked {
		high = "0xffffffff"
	}
	value, err := strconv.ParseUint(low, 0, 32)
	mask, err2 := strconv.ParseUint(high, 0, 32)
	switch {
	case err != nil || err2 != nil:
		return errors.New(`want a number, or "VALUE/MASK" such as "0x10/0xff"`)
	case value&^mask != 0:
		return errors.New("the value has bits that the mask hasn't: no mark would ever match")
	}
	*m = Mark{uint32(value), uint32(mask)}
	return nil
}

// Rules returns the filters for matching.
func (c *Config) Rules() []filter.Rule {
	return each(c.Filters, func(f Filter) filter.Rule {
		prefix := func(n Network) netip.Prefix { return n.Prefix }
		ports := func(p Ports) filter.Ports { return filter.Ports(p) }
		return filter.Rule{
			Include:          f.Action == Include,
			Networks:         each(f.Networks, prefix),
			Sources:          each(f.SourceNetworks, prefix),
			Destinations:     each(f.DestinationNetworks, prefix),
			Protocols:        each(f.Protocols, func(p IPProto) uint8 { return uint8(p) }),
			Ports:            each(f.Ports, ports),
			DestinationPorts: each(f.DestinationPorts, ports),
			Zones:            f.Zones,
			Marks:            each(f.Marks, func(m Mark) filter.Mark { return filter.Mark(m) }),
			Interfaces:       f.Interfaces,
		}
	})
}

// FilterInterfaces returns the names of interfaces that filters have, each as often as they do.
func (c *Config) FilterInterfaces() (names []string) {
	for i := range c.Filters {
		names = append(names, c.Filters[i].Interfaces...)
	}
	return names
}

func each[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out
}
