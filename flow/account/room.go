package account

import (
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/host"
)

const (
	// roomPause is the least time between two searches for devices to forget, where none
	// was found.
	roomPause = int64(time.Second)
	// randomKept is how long a device with a random Ethernet address is kept that is gone:
	// phones invent one per network, some one a day.
	randomKept = int64(7 * 24 * time.Hour)
)

// insert makes room for a device and returns its place, or other.
func (a *Accounts) insert(id ID, now conntrack.Timestamp) int32 {
	if len(a.byID) >= a.options.Max+2 && !a.makeRoom(now) {
		return other
	}
	return a.add(id)
}

func (a *Accounts) add(id ID) int32 {
	i := int32(len(a.devices))
	if n := len(a.freed); n > 0 {
		i, a.freed = a.freed[n-1], a.freed[:n-1]
		a.devices[i] = newDevice(id)
	} else {
		a.devices = append(a.devices, newDevice(id))
	}
	a.byID[id] = i
	return i
}

// makeRoom forgets devices that are offline, and reports whether there is room for one more.
// Devices that have never both sent and received may be made up: all of these are forgotten
// first. If there are none, it forgets the device that has been gone for the longest time, if
// its Ethernet address is a random one. Devices that are named in the configuration stay.
func (a *Accounts) makeRoom(now conntrack.Timestamp) bool {
	if a.roomMade != 0 && now.Mono-a.roomMade < roomPause {
		return false
	}
	room, oldest := false, other
	for i := range a.devices {
		d := &a.devices[i]
		if !a.mayGo(int32(i), now.Wall) {
			continue
		}
		if !d.isReal() {
			a.forget(int32(i))
			room = true
		} else if d.mac.IsLocal() && (oldest == other || d.last < a.devices[oldest].last) {
			oldest = int32(i)
		}
	}
	if !room && oldest != other {
		a.forget(oldest)
		room = true
	}
	if !room {
		a.roomMade = now.Mono
	}
	return room
}

// mayGo reports whether a device may be forgotten: it is offline, has no connection and no
// name of its own.
func (a *Accounts) mayGo(i int32, now int64) bool {
	d := &a.devices[i]
	if i == other || i == router || i == a.pinned || d.connections > 0 || d.forward != none || a.isFreed(d) {
		return false
	}
	_, named := a.aliases[d.id]
	return !named && now-d.last > int64(a.options.OfflineAfter)
}

// isFreed reports whether a place is empty.
func (a *Accounts) isFreed(d *device) bool { return d.id == ID{} && d != &a.devices[other] }

// forget removes a device, whose usage goes to other.
func (a *Accounts) forget(i int32) {
	a.mergeUsage(i, other)
	a.unlink(i)
	a.release(i)
}

// unlink removes a device from the indexes.
func (a *Accounts) unlink(i int32) {
	a.changes++
	d := &a.devices[i]
	for _, at := range d.addresses {
		delete(a.byAddress, at)
	}
	delete(a.byID, d.id)
	d.addresses = nil
}

func (a *Accounts) release(i int32) {
	a.devices[i] = device{forward: none}
	a.freed = append(a.freed, i)
}

// merge merges a device into another.
func (a *Accounts) merge(from, to int32) {
	if from == to {
		return
	}
	addresses := a.devices[from].addresses
	a.mergeUsage(from, to)
	a.unlink(from)
	for _, at := range addresses {
		a.addAddress(to, at)
	}
	a.devices[to].connections += a.devices[from].connections
	if d := &a.devices[from]; d.connections > 0 {
		d.forward = to
	} else {
		a.release(from)
	}
}

// mergeUsage moves what a device has counted to another.
func (a *Accounts) mergeUsage(from, to int32) {
	f, t := &a.devices[from], &a.devices[to]
	for s := range f.usage {
		t.usage[s].Add(&f.usage[s])
		t.restored[s].Add(&f.restored[s])
	}
	f.usage, f.restored = [scopes]Usage{}, [scopes]Usage{}
	if f.first != 0 && (t.first == 0 || f.first < t.first) {
		t.first = f.first
	}
	t.last, t.moved = max(t.last, f.last), max(t.moved, f.moved)
}

// resolve returns the device of one end of a route, or the one that it was merged into.
func (a *Accounts) resolve(r *route, d int) int32 {
	i := r.ends[d]
	if a.devices[i].forward == none {
		return i
	}
	if r.keyed { // the place in the key may be reused for another device
		delete(a.byRoute, r.key)
		r.keyed = false
	}
	for a.devices[i].forward != none { // it counts the routes that still refer to it
		from := &a.devices[i]
		next := from.forward
		if from.connections -= r.connections; from.connections == 0 {
			a.release(i)
		}
		i = next
	}
	r.ends[d] = i
	return i
}

// Refresh merges devices whose Ethernet addresses have become known since, and forgets those
// with a random one that have been gone for long. Call it after each dump.
func (a *Accounts) Refresh(now conntrack.Timestamp) {
	for i := range a.devices {
		d := &a.devices[i]
		switch {
		case d.id.Kind == ByMAC && d.mac.IsLocal():
			if d.last == 0 && d.moved == 0 { // it never sent, and was restored
				d.moved = now.Wall
			}
			if now.Wall-max(d.last, d.moved) > randomKept && a.mayGo(int32(i), now.Wall) {
				a.forget(int32(i))
			}
		case d.id.Kind == ByAddress && d.forward == none:
			a.refreshAddress(int32(i), now)
		}
	}
}

// refreshAddress merges a device that was identified by its address, if it has turned out
// to be a neighbour.
func (a *Accounts) refreshAddress(i int32, now conntrack.Timestamp) {
	d := &a.devices[i]
	mac := a.options.Resolver.MAC(&d.id.addr, d.index, now.Mono)
	if mac == (host.MAC{}) {
		return
	}
	id := a.identify(d.id.address, mac)
	a.rename(i, id)
	a.devices[a.byID[id]].mac = mac
}

// rename gives a device another identity, or merges it into the device that has that.
func (a *Accounts) rename(i int32, id ID) {
	d := &a.devices[i]
	if d.id == id {
		return
	}
	if to, known := a.byID[id]; known {
		a.merge(i, to)
		return
	}
	delete(a.byID, d.id)
	d.id = id
	a.byID[id] = i
}

// id identifies an alias, whatever its name.
func (l *Alias) id() ID {
	if len(l.MACs) > 0 {
		return ID{Kind: ByMAC, MAC: l.MACs[0]}
	}
	return byAddress(address{addr: conntrack.AddrFrom(l.Addrs[0])})
}

// Reconfigure replaces the options. Devices that are now one alias are merged; devices that
// were one alias aren't separated. Connections that are open keep their devices.
func (a *Accounts) Reconfigure(o Options) {
	a.changes++
	a.options = o
	a.aliases = map[ID]int{}
	for n := range o.Aliases {
		l := &o.Aliases[n]
		for _, mac := range l.MACs {
			a.aliases[ID{Kind: ByMAC, MAC: mac}] = n
		}
		for _, ip := range l.Addrs {
			a.aliases[byAddress(address{addr: conntrack.AddrFrom(ip)})] = n
		}
	}
	for i := range a.devices {
		d := &a.devices[i]
		if d.forward != none || d.id.Kind != ByMAC && d.id.Kind != ByAddress {
			continue
		}
		a.rename(int32(i), a.aliased(d))
	}
}

// aliased returns the identity that the present aliases give a device.
func (a *Accounts) aliased(d *device) ID {
	if n, named := a.aliases[d.id]; named {
		return a.options.Aliases[n].id()
	}
	for _, at := range d.addresses {
		if n, named := a.aliases[byAddress(at)]; named {
			return a.options.Aliases[n].id()
		}
	}
	return d.id
}
