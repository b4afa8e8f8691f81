package serve

import (
	"errors"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

// machine is a collect.Machine: what the kernel knows of the machine's network. Parts of it may
// be missing, where a sandbox forbids asking.
type machine struct {
	clock      conntrack.Clock
	routes     *route.Resolver  // nil: addresses and uplinks are not known
	neighbours *host.Neighbours // nil: they are not known
}

// openMachine asks the kernel. With an error, the machine knows only parts.
func openMachine(clock conntrack.Clock) (*machine, error) {
	routes, err := route.Open(route.Options{Clock: clock})
	if err != nil {
		routes = nil
	}
	neighbours, err2 := host.OpenNeighbours(clock)
	if err2 != nil {
		neighbours = nil
	}
	return &machine{clock, routes, neighbours}, errors.Join(err, err2)
}

// Local implements collect.Machine.
func (m *machine) Local(a *conntrack.Addr) bool { return m.routes != nil && m.routes.Local(a) }

// Broadcast implements collect.Machine.
func (m *machine) Broadcast(a *conntrack.Addr) bool {
	return m.routes != nil && m.routes.Broadcast(a)
}

// MAC implements collect.Machine.
func (m *machine) MAC(a *conntrack.Addr, index uint32) host.MAC {
	if m.neighbours == nil {
		return host.MAC{}
	}
	return m.neighbours.MAC(a, index, m.clock().Mono)
}

// Inside implements collect.Machine.
func (m *machine) Inside(a *conntrack.Addr) bool {
	if m.neighbours == nil || m.routes == nil {
		return false
	}
	index, known := m.neighbours.Interface(a)
	return known && !m.routes.Uplink(index)
}

// Close closes the sockets.
func (m *machine) Close() (err error) {
	if m.routes != nil {
		err = m.routes.Close()
	}
	if m.neighbours != nil {
		err = errors.Join(err, m.neighbours.Close())
	}
	return err
}
