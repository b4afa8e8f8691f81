package collect

import (
	"net/netip"
	"slices"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/host"
)

// place is where an end of a connection is.
type place uint8

const (
	unknown place = iota
	outside       // behind an uplink
	inside        // a device
	self          // the exporter's own address, or a broadcast address
	nobody        // a group, a broadcast address, or none
)

// end is one end of a connection.
type end struct {
	addr   netip.Addr
	zone   uint32
	index  uint32 // ifIndex of the exporter's
	mac    host.MAC
	place  place
	device *device // nil: it is none
}

// ends returns the ends of a record: who sent it, and who received it in the end, after NAT.
func (c *Collector) ends(x *exporter, f *heldFlow) (src, dst end) {
	src = end{addr: f.Src, zone: f.InputZone, index: f.Input, mac: f.SrcMAC}
	dst = end{addr: f.Dst, zone: f.OutputZone, index: f.Output, mac: f.DstMAC}
	if f.PostDst.IsValid() {
		dst.addr = f.PostDst
	}
	c.locate(x, &src, x.side(f.Input, f.Output), f.received)
	c.locate(x, &dst, x.side(f.Output, f.Input), f.received)
	return src, dst
}

// locate finds out where an end is and which device. side is what the exporter's interfaces
// say.
func (c *Collector) locate(x *exporter, e *end, side place, now time.Time) {
	if !e.addr.IsValid() {
		e.place = nobody
		return
	}
	e.addr = e.addr.WithZone("").Unmap()
	a := conntrack.AddrFrom(e.addr)
	if a.IsGroup() || e.addr.IsUnspecified() {
		e.place = nobody
		return
	}
	if x.local && c.o.Machine.Local(&a) {
		e.place, e.device = inside, c.devices.router
		c.devices.addAddress(e.device, addressOf(e))
		return
	}
	if x.local && c.o.Machine.Broadcast(&a) {
		e.place = nobody
		return
	}
	if contains(c.o.Exclude, e.addr) {
		e.place, e.device = inside, c.devices.other
		return
	}
	if side == outside && contains(c.o.Inside, e.addr) {
		side = inside
	}
	if side == unknown {
		side = c.byAddress(e.addr, &a)
	}
	e.place = side
	if side == outside {
		return
	}
	if e.mac == (host.MAC{}) || e.mac[0]&1 != 0 {
		e.mac = c.neighbour(x, &a, e.index)
	}
	if e.mac == (host.MAC{}) && (side == self && x.local || isBroadcast(e.addr)) {
		e.place = nobody
		return
	}
	e.place, e.device = inside, c.devices.find(addressOf(e), e.mac, now)
	if e.device == c.devices.other {
		c.stats.Overflow++
	}
}

// neighbour returns the Ethernet address of an end by this machine's own tables.
func (c *Collector) neighbour(x *exporter, a *conntrack.Addr, index uint32) host.MAC {
	if !x.local {
		index = 0
	}
	return c.o.Machine.MAC(a, index)
}

// byAddress returns where an end is by its address alone.
func (c *Collector) byAddress(addr netip.Addr, a *conntrack.Addr) place {
	if contains(c.o.Inside, addr) || addr.IsPrivate() || addr.IsLinkLocalUnicast() ||
		addr.IsLoopback() || c.o.Machine.Local(a) || c.o.Machine.Inside(a) {
		return inside
	}
	return outside
}

// isBroadcast reports whether an address looks like the broadcast address of a network. A host
// that has one in a large network has an Ethernet address, too.
func isBroadcast(a netip.Addr) bool { return a.Is4() && a.As4()[3] == 255 }

func contains(networks []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
}
