package probe

import (
	"context"
	"slices"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

// recordOptions is what is exported beside the plain records, from the start of the
// program on.
type recordOptions struct {
	export.Optional
	describe   func(*flow.Record)    // adds what only routes and neighbours know; or nil
	follow     func(context.Context) // keeps up with neighbours; or nil
	neighbours *host.NeighbourStats
}

// optional returns what the configuration asks for.
func optional(c *config.Config) export.Optional {
	asks := func(f config.ExtraField) bool { return slices.Contains(c.Flow.ExtraFields, f) }
	return export.Optional{
		Biflow: c.Flow.Biflow, NATEvents: c.Flow.NATEvents,
		FlowID: asks(config.ExtraFlowID), VLAN: asks(config.ExtraVLAN), Zone: asks(config.ExtraZone),
		MAC: asks(config.ExtraMAC) || asks(config.ExtraSourceMAC),
	}
}

// newRecordOptions prepares what records are described by.
func newRecordOptions(c *config.Config, routes *route.Resolver, clock conntrack.Clock) (recordOptions, error) {
	ct := recordOptions{Optional: optional(c)}
	if !ct.VLAN && !ct.MAC {
		return ct, nil
	}
	var hosts *host.Neighbours
	if ct.MAC {
		var err error
		if hosts, err = host.OpenNeighbours(clock); err != nil {
			return ct, err
		}
		ct.neighbours = &hosts.Stats
		ct.follow = hosts.Follow
	}
	ct.describe = func(r *flow.Record) {
		if ct.VLAN {
			r.InputVLAN, r.OutputVLAN = routes.VLAN(r.Input), routes.VLAN(r.Output)
		}
		if hosts != nil {
			// Each as it is on the way in and out: translation shows there.
			r.SrcMAC = hosts.MAC(&r.Src, r.Input, r.At.Mono)
			r.DstMAC = hosts.MAC(&r.PostDst, r.Output, r.At.Mono)
		}
	}
	return ct, nil
}
