package account

import (
	"encoding/binary"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
)

const (
	knownBits    = 10
	maxKnownEnds = 1 << knownBits // 56 B each
)

// knownEnds are ends that were seen lately, each at the place that follows from its address. There it
// may displace another one.
type knownEnds [maxKnownEnds]knownEnd

// knownEnd is an end of connections that was seen lately: most connections are between few
// addresses, each of which would take several look-ups.
type knownEnd struct {
	address
	hop     flow.Hop
	device  int32  // or what is none
	via     uint16 // place of the interface
	mac     host.MAC
	remote  bool   // a device, but no neighbour: behind another router, or its entry is still to come
	version uint64 // of what it follows from; 0: it is to be identified each time
	number  uint32 // of all that were found
}

// version returns a number that changes with all that known ends follow from.
func (a *Accounts) version() uint64 {
	return uint64(a.options.Resolver.Version())<<32 | uint64(a.changes)
}

// end returns what is known of an end of a connection, until another end is asked for.
func (a *Accounts) end(
	all *knownEnds, addr *conntrack.Addr, zone uint16, hop flow.Hop, version uint64,
	now conntrack.Timestamp,
) *knownEnd {
	k := &all[placeOf(addr)]
	switch {
	case k.addr != *addr || k.hop != hop || k.zone != zone || k.version != version ||
		k.remote && a.changed(k, now):
		*k = knownEnd{address: address{*addr, zone}, hop: hop}
		a.identifyEnd(k, now)
	case k.device > router && a.devices[k.device].reached != k.number:
		a.reach(k)
	}
	return k
}

// changed reports whether neighbours have changed since an end was identified, up to now. Only the
// first end of each time asks: then the version tells the others.
func (a *Accounts) changed(k *knownEnd, now conntrack.Timestamp) bool {
	if a.asked == now.Mono {
		return false
	}
	a.asked = now.Mono
	a.options.Resolver.MAC(&k.addr, k.hop.Index(), now.Mono)
	return a.version() != k.version
}

// placeOf returns the place of an address among known ends.
func placeOf(addr *conntrack.Addr) uint64 {
	const prime = 0x9e3779b97f4a7c15 // an odd number with bits everywhere
	low := binary.NativeEndian.Uint64(addr[8:])
	return low * prime >> (64 - knownBits)
}

// identifyEnd finds out which device an end is that has an address and a way to it.
func (a *Accounts) identifyEnd(k *knownEnd, now conntrack.Timestamp) {
	a.numbered++
	k.via, k.version, k.number = a.interfacePlace(k.hop.Index()), a.version(), a.numbered
	o := &a.options
	switch {
	case k.addr.IsGroup(), k.addr.IsUnspecified():
		k.device = nobody
	case o.Resolver.Local(&k.addr):
		k.device = router
	case o.Resolver.Broadcast(&k.addr):
		k.device = nobody
	case contains(o.Exclude, &k.addr):
		k.device = other
	case k.hop.Uplink() && !contains(o.Inside, &k.addr):
		k.device = outside
	case k.hop.Index() == 0:
		k.device = nobody
	case !o.Devices:
		k.device = other
	default:
		a.find(k, now)
	}
}

// find finds the device that an interface reaches by an address: other where there is no room
// for a new one.
func (a *Accounts) find(k *knownEnd, now conntrack.Timestamp) {
	k.mac = a.options.Resolver.MAC(&k.addr, k.hop.Index(), now.Mono)
	id := a.identify(k.address, k.mac)
	i, known := a.byID[id]
	if !known && k.mac == (host.MAC{}) { // its neighbour entry has been forgotten since
		i, known = a.byAddress[k.address]
	}
	if !known {
		i = a.insert(id, now)
	}
	k.device, k.remote = i, k.mac == host.MAC{}
	if i == other { // room may come at any time
		k.version = 0
		return
	}
	a.reach(k)
}

// reach records how a device was reached last.
func (a *Accounts) reach(k *knownEnd) {
	d := &a.devices[k.device]
	d.index, d.reached = k.hop.Index(), k.number
	if k.mac != (host.MAC{}) {
		d.mac = k.mac
	}
	a.addAddress(k.device, k.address)
}
