package route

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

// zoneInterval is how long what is known of zones counts for new connections.
const zoneInterval = time.Minute

// zones knows the interfaces of conntrack zones, once there is a connection in one.
type zones struct {
	read       func() (map[uint16][]string, error)
	interfaces map[uint16][]string
	until      int64 // monotonic
}

// of returns the interface whose packets are put into a zone, 0 where that isn't one
// alone besides the uplinks.
func (z *zones) of(zone uint16, v *view) (only uint32) {
	for _, name := range z.interfaces[zone] {
		index, ok := v.index(name)
		switch {
		case !ok || v.uplinks[index] || index == only:
		case only != 0:
			return 0
		default:
			only = index
		}
	}
	return only
}

// refreshZones reads the zones again if they are too old. If that fails, the old ones stay in
// use.
func (r *Resolver) refreshZones() {
	z, now := &r.zones, r.options.Clock().Mono
	if z.read == nil || z.interfaces != nil && now < z.until {
		return
	}
	interfaces, err := z.read()
	if err != nil {
		r.Stats.Failures.Add(1)
	}
	if err == nil || z.interfaces == nil {
		z.interfaces = interfaces
	}
	if z.interfaces == nil {
		z.interfaces = map[uint16][]string{}
	}
	z.until = now + int64(zoneInterval)
}

// inZone finds the way to an end within by its zone, since other zones may have the same
// addresses: by the rule that puts an interface's packets into the zone, else by the
// connection's mark.
func (r *Resolver) inZone(to *end, e *conntrack.Event) {
	zone := e.Zone
	if to.addr != &e.Orig.Src {
		zone = e.ReplyZone
	}
	if zone == 0 || to.kind == local {
		return
	}
	r.refreshZones()
	if index := r.zones.of(zone, r.seen); index != 0 {
		to.answer, to.settled = answer{unicast, r.seen.hop(index)}, true
		return
	}
	if mark := e.Mark & r.marks; mark != 0 {
		before := *to
		if r.anybodys(to, mark); to.kind == unicast && !to.hop.Uplink() {
			to.settled = true
		} else {
			*to = before
		}
	}
}
