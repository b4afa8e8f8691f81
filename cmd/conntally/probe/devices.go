package probe

import (
	"context"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

// neighbours are the hosts beside the router, where anything needs them: devices, or the
// records' MAC addresses. Without a socket for them devices are known by their addresses.
func openNeighbours(c *config.Config, clock conntrack.Clock, log *zap.Logger) *host.Neighbours {
	if !c.Devices.Enable && !optional(c).MAC {
		return nil
	}
	hosts, err := host.OpenNeighbours(clock)
	if err != nil {
		log.Warn("neighbours can't be read: devices have no Ethernet addresses", zap.Error(err))
		return nil
	}
	return hosts
}

// resolver is an account.Resolver of the network namespace.
type resolver struct {
	*route.Resolver
	hosts *host.Neighbours // nil: none is known
}

// MAC implements account.Resolver.
func (r resolver) MAC(a *conntrack.Addr, index uint32, at int64) host.MAC {
	if r.hosts == nil {
		return host.MAC{}
	}
	return r.hosts.MAC(a, index, at)
}

// accountOptions returns the options of the configuration in force.
func (p *Probe) accountOptions() account.Options {
	d := &p.config.Devices
	return account.Options{
		Devices: d.Enable, Max: d.Max, OfflineAfter: time.Duration(d.OfflineAfter),
		Inside: prefixes(d.Networks), Exclude: prefixes(d.Exclude), Aliases: p.config.Aliases(),
		Resolver: resolver{p.routes, p.hosts},
	}
}

func prefixes(list []config.Network) (all []netip.Prefix) {
	for _, n := range list {
		all = append(all, n.Prefix)
	}
	return all
}

// newNames returns what knows the names of devices, or nil where none are counted.
func newNames(c *config.Config, clock conntrack.Clock) *host.Names {
	if !c.Devices.Enable {
		return nil
	}
	return host.NewNames(host.NamesOptions{Leases: c.Devices.Leases, Clock: clock})
}

// followNames reads the names of devices again when they change, until ctx is done.
func (p *Probe) followNames(ctx context.Context) error {
	p.names.Follow(ctx)
	return nil
}
