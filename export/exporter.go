package export

import (
	"context"
	"slices"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// Exporter exports each pair to all collectors. It implements flow.Sink.
type Exporter struct {
	Collectors []*Collector
	// Commit, if not nil, is called before datagrams are sent: it writes the checkpoint, then
	// calls Flush. Then all collectors send at once, so that no record in the checkpoint
	// waits.
	Commit func(now conntrack.Timestamp)
	// Interfaces, if not nil, has the interfaces that collectors are sent the names of.
	Interfaces Interfaces

	closed []addressPair // of closed sockets, the latest last
}

// Interfaces lists the router's interfaces.
type Interfaces interface {
	// Interfaces returns all interfaces, and a version other than 0 that changes with them.
	Interfaces() (all []flow.Interface, version uint32)
}

// Export implements flow.Sink.
func (e *Exporter) Export(p *flow.Pair) {
	if e.Commit != nil && e.full(p) {
		e.Commit(p.At())
	}
	for _, c := range e.Collectors {
		c.export(p)
	}
}

// full reports whether a collector has to send before it can take p.
func (e *Exporter) full(p *flow.Pair) bool {
	for _, c := range e.Collectors {
		if c.socket != nil && !c.encoder.Fits(p) {
			return true
		}
	}
	return false
}

// commit calls Commit, or Flush if there is none.
func (e *Exporter) commit(now conntrack.Timestamp) {
	if e.Commit != nil {
		e.Commit(now)
	} else {
		e.Flush(now)
	}
}

// Tick does what is due: see Due.
func (e *Exporter) Tick(ctx context.Context, now conntrack.Timestamp) {
	e.updateInterfaces()
	if now.Mono < e.Due(now.Mono+1) {
		return
	}
	e.commit(now)
	for _, c := range e.Collectors {
		before := c.socket
		if c.tick(ctx, now); c.socket != before {
			e.rememberClosed(before)
		}
	}
}

// updateInterfaces passes the interfaces to all collectors.
func (e *Exporter) updateInterfaces() {
	if e.Interfaces == nil {
		return
	}
	all, version := e.Interfaces.Interfaces()
	for _, c := range e.Collectors {
		c.setInterfaces(all, version)
	}
}

// Flush implements flow.Sink: it sends all messages.
func (e *Exporter) Flush(now conntrack.Timestamp) {
	for _, c := range e.Collectors {
		c.send(now)
	}
}

// Due returns when Tick has to be called next, monotonic, but not later than latest.
func (e *Exporter) Due(latest int64) int64 {
	for _, c := range e.Collectors {
		latest = min(latest, c.due())
	}
	return latest
}

// Owns reports whether t is a connection of the export itself. It must not be exported:
// otherwise each datagram would cause another.
func (e *Exporter) Owns(t *conntrack.Tuple) bool {
	return t.Proto == conntrack.ProtoUDP && e.matchesSocket(t, false)
}

// OwnedBefore reports whether t may be a connection of the export in a previous run of the
// program: it differs from one that Owns knows at most by the source port. It is meaningless for
// a connection that began in this run.
func (e *Exporter) OwnedBefore(t *conntrack.Tuple) bool {
	return t.Proto == conntrack.ProtoUDP && e.matchesSocket(t, true)
}

// matchesSocket reports whether t has the addresses and ports of one of the sockets, open or
// closed, or with anyPort at least all but the local port.
func (e *Exporter) matchesSocket(t *conntrack.Tuple, anyPort bool) bool {
	for _, c := range e.Collectors {
		s := c.socket
		if s != nil && s.remote.Port() == t.DstPort && s.matches(t, anyPort) {
			return true
		}
	}
	for i := range e.closed {
		if e.closed[i].matches(t, anyPort) {
			return true
		}
	}
	return false
}

// Replace replaces the collectors. Those that stay keep their socket, templates and sequence;
// those that don't are sent what is pending, and closed.
func (e *Exporter) Replace(collectors []*Collector, now conntrack.Timestamp) {
	e.commit(now)
	for _, c := range e.Collectors {
		if !slices.Contains(collectors, c) {
			e.rememberClosed(c.socket)
			c.Close(now)
		}
	}
	e.Collectors = collectors
}

// closedMost bounds how many closed sockets are remembered.
const closedMost = 16

// rememberClosed keeps a closed socket's addresses: conntrack has its connection for a while yet.
func (e *Exporter) rememberClosed(s *socket) {
	if s == nil {
		return
	}
	e.closed = append(e.closed, s.addressPair)
	e.closed = e.closed[max(0, len(e.closed)-closedMost):]
}

// Close sends what is pending and closes the sockets.
func (e *Exporter) Close(now conntrack.Timestamp) {
	e.commit(now)
	for _, c := range e.Collectors {
		c.Close(now)
	}
}
