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
	// Commit, where set, is called before datagrams are sent: it writes down what was
	// exported, then calls Flush. All collectors then send at the same time, so that no
	// record waits that is written down already.
	Commit func(now conntrack.Timestamp)
	// Interfaces, where set, is what collectors are told of interfaces.
	Interfaces Interfaces

	closed []ends // of sockets that are gone, the latest last
}

// Interfaces knows the router's interfaces.
type Interfaces interface {
	// Interfaces returns all of them, and a number other than 0 that changes
	// with them.
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

// commit is Commit, or without one Flush.
func (e *Exporter) commit(now conntrack.Timestamp) {
	if e.Commit != nil {
		e.Commit(now)
	} else {
		e.Flush(now)
	}
}

// Tick does what is due at now.
func (e *Exporter) Tick(ctx context.Context, now conntrack.Timestamp) {
	e.describe()
	if now.Mono < e.Due(now.Mono+1) {
		return
	}
	e.commit(now)
	for _, c := range e.Collectors {
		before := c.socket
		if c.tick(ctx, now); c.socket != before {
			e.remember(before)
		}
	}
}

// describe passes on what changes of interfaces.
func (e *Exporter) describe() {
	if e.Interfaces == nil {
		return
	}
	all, version := e.Interfaces.Interfaces()
	for _, c := range e.Collectors {
		c.describe(all, version)
	}
}

// Flush implements flow.Sink: it sends what is there.
func (e *Exporter) Flush(now conntrack.Timestamp) {
	for _, c := range e.Collectors {
		c.finish(now)
	}
}

// Due returns when Tick is next to be called, of the monotonic clock, but at the
// latest what it is given.
func (e *Exporter) Due(latest int64) int64 {
	for _, c := range e.Collectors {
		latest = min(latest, c.due())
	}
	return latest
}

// Owns reports whether t is a connection that the export itself makes: it is left
// out, or each datagram would cause the next.
func (e *Exporter) Owns(t *conntrack.Tuple) bool { return e.ours(t, (*ends).are) }

// OwnedBefore reports whether t may be a connection that the export made in a previous run
// of the program: it has the ends of one that Owns knows, but for the source port. Of
// a connection that began in this life it says nothing.
func (e *Exporter) OwnedBefore(t *conntrack.Tuple) bool { return e.ours(t, (*ends).join) }

// ours reports whether t belongs to one of the sockets.
func (e *Exporter) ours(t *conntrack.Tuple, belongs func(*ends, *conntrack.Tuple) bool) bool {
	if t.Proto != conntrack.ProtoUDP {
		return false
	}
	for _, c := range e.Collectors {
		if c.socket != nil && belongs(&c.socket.ends, t) {
			return true
		}
	}
	for i := range e.closed {
		if belongs(&e.closed[i], t) {
			return true
		}
	}
	return false
}

// Replace exports to others from now on. Those that stay keep their socket, templates
// and sequence; those that go are sent what is pending, and closed.
func (e *Exporter) Replace(collectors []*Collector, now conntrack.Timestamp) {
	e.commit(now)
	for _, c := range e.Collectors {
		if !slices.Contains(collectors, c) {
			e.remember(c.socket)
			c.Close(now)
		}
	}
	e.Collectors = collectors
}

// closedMost bounds how many closed sockets are remembered.
const closedMost = 16

// remember keeps a socket's ends in mind: conntrack knows its connection for a while
// after it is closed.
func (e *Exporter) remember(s *socket) {
	if s == nil {
		return
	}
	e.closed = append(e.closed, s.ends)
	e.closed = e.closed[max(0, len(e.closed)-closedMost):]
}

// Close sends what is left and closes the sockets.
func (e *Exporter) Close(now conntrack.Timestamp) {
	e.commit(now)
	for _, c := range e.Collectors {
		c.Close(now)
	}
}
