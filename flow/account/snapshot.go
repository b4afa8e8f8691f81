package account

import (
	"net/netip"
	"slices"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/host"
)

// Snapshot is what Accounts have counted at one time. It doesn't change.
type Snapshot struct {
	Read        conntrack.Timestamp // when the counters were read
	Devices     []Device
	Interfaces  []InterfaceUsage // those of index 0 have none
	Traffic     [traffics]uint64 // bytes
	Connections int
}

// Device is one device's account.
type Device struct {
	ID          ID
	Alias       string // its name in the configuration, or ""
	MAC         host.MAC
	Addresses   []netip.Addr // the latest first
	First, Last time.Time    // zero: never
	Connections int
	Online      bool
	Usage       [scopes]Usage // by Scope, since the device was first seen
	Recent      [scopes]Usage // the part of Usage that this run has counted
}

// HasMAC reports whether the device's Ethernet address is known.
func (d *Device) HasMAC() bool { return d.MAC != host.MAC{} }

// Snapshot returns what is counted. The counters were last read at the given time.
func (a *Accounts) Snapshot(read conntrack.Timestamp) *Snapshot {
	s := &Snapshot{
		Read: read, Interfaces: slices.Clone(a.interfaces.all), Traffic: a.traffic,
		Connections: a.open, Devices: make([]Device, 0, len(a.byID)),
	}
	for i := range a.devices {
		d := &a.devices[i]
		if d.forward == none && !a.isFreed(d) && d.isUsed() {
			s.Devices = append(s.Devices, a.snapshot(d, read.Wall))
		}
	}
	return s
}

// isUsed reports whether a device has anything to show.
func (d *device) isUsed() bool {
	return d.connections > 0 || d.usage != [scopes]Usage{} || d.first != 0
}

func (a *Accounts) snapshot(d *device, now int64) Device {
	out := Device{
		ID: d.id, MAC: d.mac, Connections: int(d.connections), Usage: d.usage,
		First: wall(d.first), Last: wall(d.last),
		Online: d.last != 0 && now-d.last <= int64(a.options.OfflineAfter),
	}
	if n, named := a.aliases[d.id]; named {
		out.Alias = a.options.Aliases[n].Name
	}
	for s := range d.usage {
		out.Recent[s] = d.usage[s].minus(&d.restored[s])
	}
	for _, at := range slices.Backward(d.addresses) {
		out.Addresses = append(out.Addresses, at.addr.Netip())
	}
	return out
}

func (u *Usage) minus(v *Usage) Usage {
	return Usage{Up: minus(u.Up, v.Up), Down: minus(u.Down, v.Down)}
}

func minus(c, d conntrack.Counters) conntrack.Counters {
	return conntrack.Counters{Packets: c.Packets - d.Packets, Bytes: c.Bytes - d.Bytes}
}

// wall converts ns since 1970; 0 is the zero time.
func wall(ns int64) (t time.Time) {
	if ns != 0 {
		t = time.Unix(0, ns)
	}
	return t
}

// DeviceOf returns which ends of a connection are devices: that which opened it, and that which
// answers.
func (a *Accounts) DeviceOf(slot uint32) (ids [2]ID, isDevice [2]bool, scope Scope) {
	r := &a.routes[slot]
	for d, end := range r.ends {
		if end >= 0 {
			ids[d], isDevice[d] = a.devices[a.resolve(r, d)].id, true
		}
	}
	return ids, isDevice, r.scope
}
