package flow

import "github.com/conntally/conntally/conntrack"

// Pair is what one connection moved in its original and in its reply direction, of
// which one may have moved nothing. Where the original direction's NAT is set, the
// pair is that event, and the reply direction is empty.
type Pair [2]Record

// At returns when the pair was exported.
func (p *Pair) At() conntrack.Timestamp { return p[conntrack.Original].At }

// IsNATEvent reports whether the pair is the beginning or the end of a translation.
func (p *Pair) IsNATEvent() bool { return p[conntrack.Original].NAT != 0 }

// Sink takes what a Table exports. It makes of a pair what it likes: a record for each
// direction that moved, one for both, or none. Its methods never block.
type Sink interface {
	// Export takes a pair, which is valid until Export returns.
	Export(p *Pair)
	// Flush hands on what Export has taken. By then it is written down, so that a
	// restarted program doesn't export it again.
	Flush(now conntrack.Timestamp)
}

// Sinks is a Sink that passes everything to each of several.
type Sinks []Sink

// Export implements Sink.
func (all Sinks) Export(p *Pair) {
	for _, s := range all {
		s.Export(p)
	}
}

// Flush implements Sink.
func (all Sinks) Flush(now conntrack.Timestamp) {
	for _, s := range all {
		s.Flush(now)
	}
}
