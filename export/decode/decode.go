// Package decode reads NetFlow v9 (RFC 3954) and IPFIX (RFC 7011) datagrams back into flows.
//
//	datagram, exporter -> Decoder -> Message: flows, NAT events, interfaces; what is missing
//
// It may stand behind an open UDP port, so a datagram is walked before a library sees it: header,
// sets and templates are checked here (the guard), and only data records of a checked template go
// to goflow2 (v9) and calmh/ipfix (IPFIX).
package decode

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
)

// ErrUnknownTemplate means that a datagram had data whose template has not arrived yet, and nothing
// else was wrong with it. It is normal until the exporter repeats its templates: count it and go
// on.
var ErrUnknownTemplate = errors.New("template not seen yet")

// Options bounds what a Decoder remembers. A zero field means its default.
type Options struct {
	// MaxExporters is the number of sources, i.e. observation domains of exporters, kept at a time:
	// 64 by default. One more displaces the source that has been silent for longest.
	MaxExporters int
	// MaxTemplates is the number of templates, options templates included, kept per source: 64 by
	// default. One more displaces the template that was repeated least recently.
	MaxTemplates int
	// MaxHeld is how many bytes of data sets are kept until their template comes, of all
	// sources; a source has a quarter of it at most. 0 is none: they are skipped. The records
	// are in the Message that has the template (RFC 7011, 8.1). Then Expire has to be called.
	MaxHeld int
}

// A Decoder turns datagrams into flows. It remembers each source's templates and sequence number.
// Its methods may be called from several goroutines.
type Decoder struct {
	options Options

	mu       sync.Mutex
	sources  map[sourceKey]*source
	counters Counters
	room     int // bytes that may still be held
	// dropped are the data sets that Expire hasn't returned yet, of sources that were displaced.
	dropped map[sourceKey]int
}

// New returns a Decoder without templates.
func New(o Options) *Decoder {
	o.MaxExporters = cmp.Or(max(o.MaxExporters, 0), 64)
	o.MaxTemplates = cmp.Or(max(o.MaxTemplates, 0), 64)
	return &Decoder{options: o, sources: make(map[sourceKey]*source), room: o.MaxHeld,
		dropped: make(map[sourceKey]int)}
}

// Decode reads one UDP datagram that came from an exporter's address and port.
//
// The Message has everything that could be read, even if err is not nil: a bad set costs that set
// alone, unless its length is wrong, which ends the datagram. The first fault is the one reported.
// ErrUnknownTemplate (errors.Is) is returned when data without a template was the only fault. The
// Message doesn't refer to the datagram's memory.
func (d *Decoder) Decode(datagram []byte, from netip.AddrPort) (Message, error) {
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.decode(datagram, from)
	d.counters.add(m, err)
	return m, err
}

func (d *Decoder) decode(datagram []byte, from netip.AddrPort) (Message, error) {
	h, err := parseHeader(datagram)
	if err != nil {
		return Message{Exporter: from}, err
	}
	s := d.source(sourceKey{from, h.domain, h.version})
	m, err := s.decode(h)
	if !d.remember(s) {
		m.UnknownSets += s.held.drop()
		m.Held = 0
	}
	if err == nil && m.UnknownSets > 0 {
		err = fmt.Errorf("%d data sets: %w", m.UnknownSets, ErrUnknownTemplate)
	}
	return m, err
}

// source finds what is known of a source, or begins a new one.
func (d *Decoder) source(k sourceKey) *source {
	if s, ok := d.sources[k]; ok {
		return s
	}
	s := newSource(k, d.options.MaxTemplates)
	s.held = holder{room: &d.room, most: d.options.MaxHeld / 4}
	return s
}

// remember keeps a source that has sent a template, and reports whether it did. Of one that has
// not there is nothing to keep but held data, for which it displaces no other source.
func (d *Decoder) remember(s *source) bool {
	s.seen = d.counters.Datagrams
	if _, ok := d.sources[s.key]; ok {
		return true
	}
	full := len(d.sources) >= d.options.MaxExporters
	if len(s.templates) == 0 && (full || s.held.isEmpty()) {
		return false
	}
	if full {
		d.evict(d.silent())
	}
	d.sources[s.key] = s
	return true
}

func (d *Decoder) evict(k sourceKey) {
	d.drop(k, d.sources[k].held.drop())
	delete(d.sources, k)
	d.counters.Evicted++
}

// silent returns the source that was seen least recently.
func (d *Decoder) silent() (oldest sourceKey) {
	seen := ^uint64(0)
	for k, s := range d.sources {
		if s.seen < seen {
			oldest, seen = k, s.seen
		}
	}
	return oldest
}

// Counters returns the totals since New.
func (d *Decoder) Counters() Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counters
}

// Sources returns the sources that are remembered, by address, port, domain and version.
func (d *Decoder) Sources() []Source {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]Source, 0, len(d.sources))
	for _, s := range d.sources {
		all = append(all, s.report())
	}
	slices.SortFunc(all, func(a, b Source) int {
		return cmp.Or(a.Exporter.Compare(b.Exporter), cmp.Compare(a.Domain, b.Domain),
			cmp.Compare(a.Version, b.Version))
	})
	return all
}
