package export

import (
	"context"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// Exporter exports each record to all collectors. It implements flow.Sink.
type Exporter struct {
	Collectors []*Collector
	// BeforeSend, where set, is called before datagrams are sent: the place to
	// write down that their records are exported. All collectors then send at
	// the same time, so that no record waits that is written down already.
	BeforeSend func()
}

// Export implements flow.Sink.
func (e *Exporter) Export(r *flow.Record) {
	if e.BeforeSend != nil && e.full(r) {
		e.Flush(r.At)
	}
	for _, c := range e.Collectors {
		c.export(r)
	}
}

// full tells whether a collector has to send before it can take r.
func (e *Exporter) full(r *flow.Record) bool {
	for _, c := range e.Collectors {
		if c.conn != nil && !c.encoder.Fits(r) {
			return true
		}
	}
	return false
}

func (e *Exporter) beforeSend() {
	if e.BeforeSend != nil {
		e.BeforeSend()
	}
}

// Tick does what is due at now.
func (e *Exporter) Tick(ctx context.Context, now conntrack.Instant) {
	if now.Mono < e.Due(now.Mono+1) {
		return
	}
	e.beforeSend()
	for _, c := range e.Collectors {
		c.tick(ctx, now)
	}
}

// Flush sends what is there.
func (e *Exporter) Flush(now conntrack.Instant) {
	e.beforeSend()
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

// Owns tells whether t is a connection that the export itself makes: it is left
// out, or each datagram would beget the next.
func (e *Exporter) Owns(t *conntrack.Tuple) bool {
	for _, c := range e.Collectors {
		if c.owns(t) {
			return true
		}
	}
	return false
}

// Close sends what is left and closes the sockets.
func (e *Exporter) Close(now conntrack.Instant) {
	e.beforeSend()
	for _, c := range e.Collectors {
		c.close(now)
	}
}
