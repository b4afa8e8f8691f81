package probe

import (
	"cmp"
	"slices"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

// recordOptions are the options of the records. They don't change until a restart.
type recordOptions struct {
	export.RecordOptions
	describe func(*flow.Record) // adds VLANs and MAC addresses; nil without either
}

// optional returns the optional fields and records that are configured.
func optional(c *config.Config) export.RecordOptions {
	wants := func(f config.ExtraField) bool { return slices.Contains(c.Flow.ExtraFields, f) }
	return export.RecordOptions{
		Biflow: c.Flow.Biflow, NATEvents: c.Flow.NATEvents,
		FlowID: wants(config.ExtraFlowID), VLAN: wants(config.ExtraVLAN),
		Zone: wants(config.ExtraZone), Mark: wants(config.ExtraMark),
		MAC: wants(config.ExtraMAC) || wants(config.ExtraSourceMAC),
	}
}

// newRecordOptions returns the options that are configured. hosts may be nil without MAC.
func newRecordOptions(
	c *config.Config, routes *route.Resolver, hosts *host.Neighbours,
) recordOptions {
	o := recordOptions{RecordOptions: optional(c)}
	if !o.VLAN && !o.MAC {
		return o
	}
	o.describe = func(r *flow.Record) {
		if o.VLAN {
			r.InputVLAN = cmp.Or(r.InputVLAN, routes.VLAN(r.Input))
			r.OutputVLAN = routes.VLAN(r.Output)
		}
		if o.MAC {
			// The addresses on the wire at either interface, before and after translation. The
			// host's address may have become another host's since.
			end := r.At.Mono - max(r.At.Wall-r.End, 0)
			if r.SrcMAC == [6]byte{} {
				r.SrcMAC = hosts.MACAt(&r.Src, r.Input, end, r.At.Mono)
			}
			r.DstMAC = hosts.MACAt(&r.PostDst, r.Output, end, r.At.Mono)
		}
	}
	return o
}
