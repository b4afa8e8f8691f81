package export

import (
	"context"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// Exporter exports each record to all collectors. It implements flow.Sink.
type Exporter struct {
	Collectors []*Collector
}

// Export implements flow.Sink.
func (e *Exporter) Export(r *flow.Record) {
	for _, c := range e.Collectors {
		c.export(r)
	}
}

// Tick does what is due at now.
func (e *Exporter) Tick(ctx context.Context, now conntrack.Instant) {
	for _, c := range e.Collectors {
		c.tick(ctx, now)
	}
}

// Flush sends what is there.
func (e *Exporter) Flush(now conntrack.Instant) {
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
	for _, c := range e.Collectors {
		c.close(now)
	}
}
