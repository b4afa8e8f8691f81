package account

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/conntally/conntally/conntrack"
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
	reached     uint32   // the number of the known end that it was last reached by
	connections int32
	forward     int32 // place of the device that it was merged into; none
	first, last int64 // when it sent something, ns since 1970
	moved       int64 // when it sent or received something in this run, or was found to do neither
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

func contains(networks []netip.Prefix, addr *conntrack.Addr) bool {
	if len(networks) == 0 {
		return false
	}
	ip := addr.Netip()
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
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
	d.reached = 0
	if n := slices.Index(d.addresses, at); n >= 0 {
		d.addresses = slices.Delete(d.addresses, n, n+1)
	}
	delete(a.byAddress, at)
}
