package config

import (
	"net/netip"

	"github.com/conntally/conntally/flow/filter"
)

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

func each[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out
}
