package collect

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/export/decode"
)

// record is a flow record whose ends are known.
type record struct {
	*decode.Flow
	span
	received time.Time
	src, dst netip.Addr
	begins   bool // its direction of the connection begins, or begins again
	port     service
}

// service is the port of the side of a connection that did not open it.
type service struct {
	port  uint16
	bySrc bool // the source of the record opened the connection
}

// add counts a record for one of the devices that it belongs to.
func (c *Collector) add(r *record, d *device, wan, up bool) {
	d.seen(r.span)
	if wan {
		d.rate.count(r.received, up, r.Bytes)
	}
	k := c.destination(r, d, up)
	contact := r.begins
	r.spread(c.o.Calendar, r.received, moved{r.Bytes, r.Packets}, func(p part) {
		u := p.usage(wan, up)
		c.pending.addHour(usage.DeviceHour{Hour: p.hour, Day: p.day, Device: d.ID}, u)
		k.Day = p.day
		du := usage.DestinationUsage{Usage: u, First: p.start, Last: p.end}
		if contact && up {
			du.UpContacts = 1
		} else if contact {
			du.DownContacts = 1
		}
		contact = false
		if !c.pending.addDestination(k, du) {
			c.stats.Folded++
		}
	})
}

// destination returns what the device at one end exchanged something with, without the day.
func (c *Collector) destination(r *record, d *device, up bool) usage.Destination {
	k := usage.Destination{Device: d.ID}
	if d == c.devices.other {
		return k
	}
	k.Remote, k.Protocol, k.Port = r.dst, r.Protocol, r.port.port
	k.Inbound = !r.port.bySrc
	if !up {
		k.Remote, k.Inbound = r.src, r.port.bySrc
	}
	return k
}

// usage is a part as what its device moved.
func (p *part) usage(wan, up bool) (u usage.Usage) {
	c := &u.LAN
	if wan {
		c = &u.WAN
	}
	if up {
		c.UpBytes, c.UpPackets = p.bytes, p.packets
	} else {
		c.DownBytes, c.DownPackets = p.bytes, p.packets
	}
	return u
}

const (
	protocolICMP   = 1
	protocolICMPv6 = 58
)

// servicePort returns the port of a connection's service and which end opened it: as the
// record says (biflowDirection), else the one with the higher port, else the inner one, else
// the one with the lower address. So both directions have the same answer.
func servicePort(f *decode.Flow, src, dst place) service {
	dstPort := f.DstPort
	if f.PostDst.IsValid() && f.PostDstPort != 0 {
		dstPort = f.PostDstPort
	}
	bySrc := service{port: dstPort, bySrc: true}
	byDst := service{port: f.SrcPort}
	if f.Protocol == protocolICMP || f.Protocol == protocolICMPv6 {
		bySrc.port, byDst.port = 0, 0
	}
	switch order := cmp.Compare(f.SrcPort, dstPort); {
	case f.BiflowDirection == 1:
		return bySrc
	case f.BiflowDirection == 2:
		return byDst
	case isEcho(f, icmpEchoRequest, icmpv6EchoRequest):
		return bySrc
	case isEcho(f, icmpEchoReply, icmpv6EchoReply):
		return byDst
	case order > 0:
		return bySrc
	case order < 0:
		return byDst
	case dst == outside && src != outside:
		return bySrc
	case src == outside && dst != outside:
		return byDst
	case f.Src.Compare(f.Dst) <= 0:
		return bySrc
	}
	return byDst
}

const (
	icmpEchoReply     = 0
	icmpEchoRequest   = 8
	icmpv6EchoRequest = 128
	icmpv6EchoReply   = 129
)

func isEcho(f *decode.Flow, icmp, icmpv6 uint8) bool {
	return f.Protocol == protocolICMP && f.ICMPType == icmp ||
		f.Protocol == protocolICMPv6 && f.ICMPType == icmpv6
}

// direction identifies one direction of a connection.
type direction struct {
	exporter         usage.Exporter
	src, dst         netip.Addr
	srcPort, dstPort uint16
	protocol         uint8
}

// active are the directions of connections whose last record ended by the active timeout, with
// its end: the next record continues them.
type active map[direction]time.Time

const (
	endedByActiveTimeout = 2
	// idle is the pause after which a connection is another contact, though its last record
	// ended by the active timeout.
	idle = 30 * time.Second
	// activeFor bounds how long the next record is awaited: exporters' active timeouts are
	// half an hour at most by default.
	activeFor = time.Hour
)

// begins reports whether a record is the first of its direction of a connection, or the first
// after a pause.
func (a active) begins(x *exporter, f *decode.Flow, s span) bool {
	k := direction{x.key, f.Src, f.Dst, f.SrcPort, f.DstPort, f.Protocol}
	before, continues := a[k]
	switch {
	case f.EndReason != endedByActiveTimeout:
		delete(a, k)
	case continues || len(a) < maxActive:
		a[k] = s.end
	}
	return !continues || s.start.Sub(before) > idle
}

// expire forgets connections whose next record did not come.
func (a active) expire(now time.Time) {
	for k, end := range a {
		if now.Sub(end) > activeFor {
			delete(a, k)
		}
	}
}
