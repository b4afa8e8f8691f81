package account

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
)

// Kind is how a device is identified.
type Kind uint8

// The kinds. Other stands for all devices that found no room, that are excluded, or that
// are not known.
const (
	Other Kind = iota
	Router
	ByMAC
	ByAddress
)

// ID identifies a device: by its Ethernet address where it is a neighbour, else by its
// address and the conntrack zone that this is of.
type ID struct {
	Kind Kind
	MAC  host.MAC
	address
}

// address is one within its zone.
type address struct {
	addr conntrack.Addr
	zone uint16
}

// String returns "other", "router", an Ethernet address, or an IP address, in another zone
// than 0 with "zone N/" before it. ParseID reads it.
func (id ID) String() string {
	switch id.Kind {
	case Router:
		return "router"
	case ByMAC:
		return id.MAC.String()
	case ByAddress:
		text := id.addr.Netip().String()
		if id.zone != 0 {
			text = "zone" + strconv.Itoa(int(id.zone)) + "/" + text
		}
		return text
	}
	return "other"
}

// maxAddresses bounds the addresses that are remembered per device: privacy extensions make
// one a day and keep those of a week.
const maxAddresses = 32

// device is one device's account. One that was merged into another forwards to it until
// the last of its connections ends.
type device struct {
	id          ID
	mac         host.MAC // by which it was last reached
	index       uint32   // ifIndex of the interface that last led to it
	connections int32
	forward     int32 // place of the device that it was merged into; none
	first, last int64 // ns since 1970
	usage       [scopes]Usage
	restored    [scopes]Usage // the part of usage that a previous run has counted
	addresses   []address     // the latest last
}

func newDevice(id ID) device { return device{id: id, forward: none} }

func (d *device) seen(wall int64) {
	if d.first == 0 {
		d.first = wall
	}
	d.last = max(d.last, wall)
}

// isReal reports whether packets have passed both ways. Other devices may be made up.
func (d *device) isReal() bool {
	wan, lan := &d.usage[WAN], &d.usage[LAN]
	return wan.Up.Packets+lan.Up.Packets > 0 && wan.Down.Packets+lan.Down.Packets > 0
}

// end returns which device an end of a connection is.
func (a *Accounts) end(
	addr *conntrack.Addr, zone uint16, hop flow.Hop, now conntrack.Timestamp,
) int32 {
	o := &a.options
	switch {
	case addr.IsGroup():
		return nobody
	case o.Resolver.Local(addr):
		return router
	case contains(o.Exclude, addr):
		return other
	case hop.Uplink() && !contains(o.Inside, addr):
		return outside
	case hop.Index() == 0:
		return nobody
	case !o.Devices:
		return other
	}
	return a.find(addr, zone, hop.Index(), now)
}

func contains(networks []netip.Prefix, addr *conntrack.Addr) bool {
	if len(networks) == 0 {
		return false
	}
	ip := addr.Netip()
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// find returns the device that an interface reaches by an address, or other where there is
// no room for a new one.
func (a *Accounts) find(
	addr *conntrack.Addr, zone uint16, index uint32, now conntrack.Timestamp,
) int32 {
	at := address{*addr, zone}
	mac := a.options.Resolver.MAC(addr, index, now.Mono)
	id := a.identify(at, mac)
	i, known := a.byID[id]
	if !known && mac == (host.MAC{}) { // its neighbour entry has been forgotten since
		i, known = a.byAddress[at]
	}
	if !known {
		if i = a.insert(id, now); i == other {
			return other
		}
	}
	d := &a.devices[i]
	d.index = index
	if mac != (host.MAC{}) {
		d.mac = mac
	}
	a.addAddress(i, at)
	return i
}

// identify returns the device's identity: that of its alias, if it has one.
func (a *Accounts) identify(at address, mac host.MAC) ID {
	id := ID{Kind: ByAddress, address: at}
	if mac != (host.MAC{}) {
		id = ID{Kind: ByMAC, MAC: mac}
	}
	if n, named := a.aliases[id]; named {
		return a.options.Aliases[n].id()
	}
	if n, named := a.aliases[byAddress(at)]; named {
		return a.options.Aliases[n].id()
	}
	return id
}

// byAddress identifies an address in the configuration, which names no zones.
func byAddress(at address) ID { return ID{Kind: ByAddress, address: address{addr: at.addr}} }

// addAddress remembers an address as a device's latest one. The one before it may have
// been another's.
func (a *Accounts) addAddress(i int32, at address) {
	d := &a.devices[i]
	if n := len(d.addresses); n > 0 && d.addresses[n-1] == at {
		return
	}
	if before, known := a.byAddress[at]; known && before != i {
		a.dropAddress(before, at)
	}
	if n := slices.Index(d.addresses, at); n >= 0 {
		d.addresses = append(slices.Delete(d.addresses, n, n+1), at)
		return
	}
	if len(d.addresses) >= maxAddresses {
		delete(a.byAddress, d.addresses[0])
		d.addresses = slices.Delete(d.addresses, 0, 1)
	}
	d.addresses = append(d.addresses, at)
	a.byAddress[at] = i
}

func (a *Accounts) dropAddress(i int32, at address) {
	d := &a.devices[i]
	if n := slices.Index(d.addresses, at); n >= 0 {
		d.addresses = slices.Delete(d.addresses, n, n+1)
	}
	delete(a.byAddress, at)
}
