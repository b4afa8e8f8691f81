package collect

import (
	"errors"
	"net/netip"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
)

// exporter is a source of records: one observation domain of it.
type exporter struct {
	key     usage.Exporter
	local   bool // it is this machine
	last    time.Time
	streams map[uint16]*stream // by the port that they come from
	latest  uint16             // the port of the latest message
	total   usage.Intake

	interfaces
	held []heldFlow
}

// heldFlow is a record, and the times of its message.
type heldFlow struct {
	decode.Flow
	exported, received time.Time
}

// noExporter stands for all exporters that find no room.
func noExporter() usage.Exporter { return usage.Exporter{Address: netip.IPv4Unspecified()} }

// exporter returns where a message comes from.
func (c *Collector) exporter(key usage.Exporter, now time.Time) *exporter {
	if x := c.exporters[key]; x != nil {
		return x
	}
	if len(c.exporters) >= maxExporters && !c.forgetSilent(now) {
		key = noExporter()
	}
	x := c.exporters[key]
	if x == nil {
		a := conntrack.AddrFrom(key.Address)
		x = &exporter{
			key: key, local: a.IsLoopback() || c.o.Machine.Local(&a),
			streams: map[uint16]*stream{}, interfaces: newInterfaces(),
		}
		c.exporters[key] = x
	}
	return x
}

// silence is after how long an exporter may be forgotten, where another one needs its place.
const silence = time.Hour

// forgetSilent forgets the exporter that has been silent for longest, if that is long.
func (c *Collector) forgetSilent(now time.Time) bool {
	var oldest *exporter
	for _, x := range c.exporters {
		if oldest == nil || x.last.Before(oldest.last) {
			oldest = x
		}
	}
	if now.Sub(oldest.last) < silence {
		return false
	}
	c.release(oldest, true)
	oldest.giveUp(now, true, &c.pending, c.o.Calendar)
	c.pending.follow(oldest)
	delete(c.exporters, oldest.key)
	return true
}

// Unknown counts data sets that the decoder has dropped, as their template has not come.
func (c *Collector) Unknown(all []decode.Unknown, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range all {
		key := noExporter()
		if u.Exporter.IsValid() {
			key = usage.Exporter{Address: u.Exporter.Addr(), Version: u.Version, Domain: u.Domain}
		}
		x, i := c.exporter(key, now), usage.Intake{UnknownSets: uint64(u.Sets)}
		x.total.Add(i)
		c.pending.intake(c.o.Calendar, now, x.key, i)
	}
}

// take counts what came with a message, and what should have come before it.
func (c *Collector) take(x *exporter, m *decode.Message, fault error, now time.Time) {
	i := usage.Intake{
		Datagrams: 1, Records: uint64(m.DataRecords + m.Recovered),
		UnknownSets: uint64(m.UnknownSets),
	}
	for k := range m.Flows {
		i.Bytes += m.Flows[k].Bytes
	}
	if fault != nil && !errors.Is(fault, decode.ErrUnknownTemplate) {
		i.Refused = 1
	}
	if m.Version != 0 && x.key.Version != 0 {
		s := c.stream(x, m.Exporter.Port())
		back := s.advance(m, now)
		x.latest = m.Exporter.Port()
		s.settle(x, &i, now, false)
		c.pending.recover(x, back, c.o.Calendar, now)
	}
	x.total.Add(i)
	c.pending.intake(c.o.Calendar, now, x.key, i)
}

// stream returns the sequence of the messages from a port.
func (c *Collector) stream(x *exporter, port uint16) *stream {
	if s := x.streams[port]; s != nil {
		return s
	}
	s := &stream{}
	if len(x.streams) >= maxStreams {
		s.deferred = x.forgetStream()
	}
	if before, known := c.stored[x.key]; known && before.Port == port {
		s.next, s.known = before.Next, true
	}
	delete(c.stored, x.key)
	x.streams[port] = s
	return s
}

// forgetStream forgets the stream that has been silent for longest, and returns what it had
// deferred.
func (x *exporter) forgetStream() int64 {
	var oldest *stream
	var port uint16
	for p, s := range x.streams {
		if oldest == nil || s.last.Before(oldest.last) {
			oldest, port = s, p
		}
	}
	delete(x.streams, port)
	return oldest.deferred
}

// giveUp counts as missing what has been waiting for its template for long, or all of it.
func (x *exporter) giveUp(now time.Time, all bool, p *pending, c usage.Calendar) {
	for _, s := range x.streams {
		var i usage.Intake
		s.settle(x, &i, now, all)
		if i != (usage.Intake{}) {
			x.total.Add(i)
			p.intake(c, now, x.key, i)
		}
	}
}
