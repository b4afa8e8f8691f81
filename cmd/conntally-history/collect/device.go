package collect

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/flow/host"
)

// maxAddresses bounds the addresses that are remembered per device: privacy extensions make
// one a day and keep those of a week.
const maxAddresses = 32

// forgetAfter is after how long a device may be forgotten, where another one needs its place.
// Its usage is in the database; it is the same device when it comes back.
const forgetAfter = 24 * time.Hour

// device is a device in memory. Its addresses are in at.
type device struct {
	usage.Device
	at      []address // the latest first
	mac     host.MAC  // by which it was last reached
	alias   *Alias
	changed bool
	rate    rate
}

// address is one in a conntrack zone.
type address struct {
	netip.Addr
	zone uint32
}

func addressOf(e *end) address { return address{e.addr, e.zone} }

// id identifies a device by address, as account.ID does.
func (a address) id() string {
	if a.zone != 0 {
		return "zone" + strconv.FormatUint(uint64(a.zone), 10) + "/" + a.String()
	}
	return a.String()
}

// devices are those in memory, by what identifies them.
type devices struct {
	o         *Options
	byID      map[string]*device
	byMAC     map[host.MAC]*device // of those that no alias names
	byAddress map[address]*device
	other     *device
	router    *device

	macAlias map[host.MAC]*Alias
	ipAlias  map[netip.Addr]*Alias

	merges   []usage.Merge // that are not part of a batch yet
	searched time.Time     // when room was last looked for
}

func newDevices(o *Options) devices {
	d := devices{
		o: o, byID: map[string]*device{}, byMAC: map[host.MAC]*device{},
		byAddress: map[address]*device{},
		macAlias:  map[host.MAC]*Alias{}, ipAlias: map[netip.Addr]*Alias{},
	}
	d.other = d.insert(&device{Device: usage.Device{ID: usage.Other}})
	d.router = d.insert(&device{Device: usage.Device{ID: usage.Router}})
	for i := range o.Aliases {
		a := &o.Aliases[i]
		for _, mac := range a.MACs {
			d.macAlias[mac] = a
		}
		for _, ip := range a.Addrs {
			d.ipAlias[ip] = a
		}
	}
	return d
}

func (d *devices) insert(n *device) *device {
	d.byID[n.ID] = n
	return n
}

// id identifies the device of an alias.
func (a *Alias) id() string {
	if len(a.MACs) > 0 {
		return a.MACs[0].String()
	}
	return a.Addrs[0].String()
}

// restore remembers the devices of the database, the latest first. Some may have become part of
// another one since, by the configuration.
func (d *devices) restore(known []usage.Device) {
	known = slices.Clone(known)
	slices.SortFunc(known, func(a, b usage.Device) int { return b.Last.Compare(a.Last) })
	for i := range known {
		k := &known[i]
		if into := d.absorbed(k.ID); into != "" && into != k.ID {
			d.merges = append(d.merges, usage.Merge{From: k.ID, Into: into})
			continue
		}
		if n := d.byID[k.ID]; n != nil {
			n.Device, n.at = *k, storedAddresses(k)
			continue
		}
		if len(d.byID) >= d.o.Max+2 {
			continue
		}
		d.remember(*k)
	}
}

// absorbed returns the ID of the alias that a device has become part of.
func (d *devices) absorbed(id string) string {
	if a := d.aliasOf(id); a != nil {
		return a.id()
	}
	return ""
}

// aliasOf returns the alias that an ID belongs to, or nil.
func (d *devices) aliasOf(id string) *Alias {
	if mac, err := host.ParseMAC(id); err == nil {
		return d.macAlias[mac]
	}
	if ip, err := netip.ParseAddr(id); err == nil {
		return d.ipAlias[ip]
	}
	return nil
}

// remember adds a device of the database.
func (d *devices) remember(k usage.Device) {
	n := d.insert(&device{Device: k, at: storedAddresses(&k), alias: d.aliasOf(k.ID)})
	if mac, err := host.ParseMAC(k.ID); err == nil {
		n.mac = mac
		if n.alias == nil {
			d.byMAC[mac] = n
		}
	} else {
		n.mac, _ = host.ParseMAC(k.MAC) // of an alias by address
	}
	for _, a := range n.at {
		if d.byAddress[a] == nil { // else a later device has it
			d.byAddress[a] = n
		}
	}
}

// storedAddresses returns the addresses of a device of the database, which knows their zone only
// if the device is identified by it.
func storedAddresses(k *usage.Device) (all []address) {
	zone := zoneOf(k.ID)
	for _, ip := range k.Addresses {
		all = append(all, address{ip, zone})
	}
	return all
}

// zoneOf returns the conntrack zone in the ID of a device.
func zoneOf(id string) uint32 {
	text, _, found := strings.Cut(strings.TrimPrefix(id, "zone"), "/")
	if !found {
		return 0
	}
	n, _ := strconv.ParseUint(text, 10, 32) // 0 if it is none
	return uint32(n)
}

// find returns the device at an address, or other where there is no room for a new one. As in
// account, the alias of an Ethernet address comes first, then that of the address: it doesn't
// matter which record came before.
func (d *devices) find(at address, mac host.MAC, now time.Time) *device {
	alias := d.macAlias[mac]
	if alias == nil {
		alias = d.ipAlias[at.Addr]
	}
	before := d.byAddress[at]
	n := before
	switch {
	case alias != nil:
		n = d.byID[alias.id()]
	case mac != (host.MAC{}):
		n = d.byMAC[mac]
	}
	if n == nil {
		if n = d.create(at, mac, alias, now); n == d.other {
			return n
		}
	}
	if mac != (host.MAC{}) && n.mac != mac {
		n.mac, n.changed = mac, true
	}
	// What was a device by its address, for want of an Ethernet address, has turned out to be n.
	if before != nil && before != n && before.alias == nil && before.ID == at.id() {
		d.merge(before, n)
	}
	d.addAddress(n, at)
	return n
}

// create adds the device at an address, or that of an alias.
func (d *devices) create(at address, mac host.MAC, alias *Alias, now time.Time) *device {
	id := at.id()
	switch {
	case alias != nil:
		id = alias.id()
	case mac != (host.MAC{}):
		id = mac.String()
	}
	n := d.byID[id]
	if n == nil {
		if len(d.byID) >= d.o.Max+2 && !d.makeRoom(now) {
			return d.other
		}
		n = d.insert(&device{Device: usage.Device{ID: id}, alias: alias, changed: true})
	}
	if alias == nil && mac != (host.MAC{}) {
		d.byMAC[mac] = n
	}
	return n
}

// merge makes a device that was known by its address part of the one that it turned out to be.
func (d *devices) merge(from, into *device) {
	if len(d.merges) >= maxMerges {
		return
	}
	d.merges = append(d.merges, usage.Merge{From: from.ID, Into: into.ID})
	for _, a := range slices.Backward(slices.Clone(from.at)) {
		if d.byAddress[a] == from {
			d.addAddress(into, a)
		}
	}
	if into.First.IsZero() || !from.First.IsZero() && from.First.Before(into.First) {
		into.First = from.First
	}
	into.rate.add(&from.rate)
	into.changed = true
	delete(d.byID, from.ID)
}

// addAddress remembers an address as a device's latest one. The one before it may have been
// another's.
func (d *devices) addAddress(n *device, at address) {
	before := d.byAddress[at]
	if before == n && len(n.at) > 0 && n.at[0] == at {
		return
	}
	if before != nil && before != n {
		before.drop(at)
	}
	n.drop(at)
	if len(n.at) >= maxAddresses {
		last := n.at[maxAddresses-1]
		if d.byAddress[last] == n {
			delete(d.byAddress, last)
		}
		n.at = n.at[:maxAddresses-1]
	}
	n.at = slices.Insert(n.at, 0, at)
	n.changed = true
	d.byAddress[at] = n
}

func (n *device) drop(a address) {
	if i := slices.Index(n.at, a); i >= 0 {
		n.at, n.changed = slices.Delete(n.at, i, i+1), true
	}
}

// listed returns the addresses of a device, each once whatever zones it is in.
func (n *device) listed() (all []netip.Addr) {
	for _, a := range n.at {
		if !slices.Contains(all, a.Addr) {
			all = append(all, a.Addr)
		}
	}
	return all
}

// makeRoom forgets devices that have moved nothing for long.
func (d *devices) makeRoom(now time.Time) bool {
	if now.Sub(d.searched).Abs() < time.Minute {
		return false
	}
	d.searched = now
	found := false
	for _, n := range d.byID {
		if n != d.other && n != d.router && !n.changed && now.Sub(n.Last) > forgetAfter {
			d.forget(n)
			found = true
		}
	}
	return found
}

func (d *devices) forget(n *device) {
	delete(d.byID, n.ID)
	for mac, m := range d.byMAC {
		if m == n {
			delete(d.byMAC, mac)
		}
	}
	for _, a := range n.at {
		if d.byAddress[a] == n {
			delete(d.byAddress, a)
		}
	}
}

// seen says that a device moved something in a span.
func (n *device) seen(s span) {
	if n.First.IsZero() || s.start.Before(n.First) {
		n.First = s.start
	}
	if s.end.After(n.Last) {
		n.Last = s.end
	}
	n.changed = true
}

// rename asks for the names and vendors of all devices. One whose name is not known any more
// keeps it.
func (d *devices) rename() {
	for _, n := range d.byID {
		if n == d.other || n == d.router {
			continue
		}
		name := d.o.Names.Name(n.mac, n.listed())
		if n.alias != nil {
			name = n.alias.Name
		}
		if name != "" && name != n.Name {
			n.Name, n.changed = name, true
		}
		if n.mac == (host.MAC{}) {
			continue
		}
		if mac := n.mac.String(); mac != n.MAC {
			n.MAC, n.changed = mac, true
		}
		if vendor := d.o.Names.Vendor(n.mac); vendor != "" && vendor != n.Vendor {
			n.Vendor, n.changed = vendor, true
		}
	}
}

// takeMerges returns the merges since the last call.
func (d *devices) takeMerges() []usage.Merge {
	all := d.merges
	d.merges = nil
	return all
}

// takeChanged returns the devices that have changed since the last call.
func (d *devices) takeChanged() (all []usage.Device) {
	for _, n := range d.byID {
		if n.changed {
			n.changed = false
			k := n.Device
			k.Addresses = n.listed()
			all = append(all, k)
		}
	}
	return all
}
