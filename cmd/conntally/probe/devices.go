package probe

import (
	"time"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

// openNeighbours returns the router's neighbours, or nil if neither devices nor the records'
// MAC addresses need them.
func openNeighbours(c *config.Config, clock conntrack.Clock) (*host.Neighbours, error) {
	if !c.Devices.Enable && !optional(c).MAC {
		return nil, nil
	}
	return host.OpenNeighbours(clock)
}

// resolver is an account.Resolver of the network namespace.
type resolver struct {
	*route.Resolver
	hosts *host.Neighbours // nil: none is known
}

// MAC implements account.Resolver.
func (r *resolver) MAC(a *conntrack.Addr, index uint32, at int64) host.MAC {
	if r.hosts == nil {
		return host.MAC{}
	}
	return r.hosts.MAC(a, index, at)
}

// Version implements account.Resolver.
func (r *resolver) Version() uint32 {
	version := r.Resolver.Version()
	if r.hosts != nil {
		version += r.hosts.Version() // both only grow, hence their sum
	}
	return version
}

// accountOptions returns the options of the configuration in force.
func (p *Probe) accountOptions() account.Options {
	d := &p.config.Devices
	return account.Options{
		Devices: d.Enable, Max: d.Max, OfflineAfter: time.Duration(d.OfflineAfter),
		Inside: setting.Prefixes(d.Networks), Exclude: setting.Prefixes(d.Exclude), Aliases: p.config.Aliases(),
		Resolver: &resolver{p.routes, p.hosts},
	}
}

// newNames returns the names of devices, or nil if devices are not counted.
func newNames(c *config.Config, clock conntrack.Clock) *host.Names {
	if !c.Devices.Enable {
		return nil
	}
	return host.NewNames(host.NamesOptions{Leases: c.Devices.Leases, Clock: clock})
}
