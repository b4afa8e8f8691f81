package decode

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A sourceKey identifies a source: template ids are local to it (RFC 7011, 3.4.1 and 8.4).
type sourceKey struct {
	exporter netip.AddrPort
	domain   uint32
	version  uint16
}

// A source is the state of one observation domain of one exporter.
type source struct {
	key          sourceKey
	seen         uint64 // the Decoder's count of datagrams when the last one came
	templates    map[uint16]*knownTemplate
	maxTemplates int
	repeats      uint64 // counts templates read: the age of each
	sequence     sequence
	custom       custom
	systemInit   uint64 // ms since 1970 (160), from an option record; 0 = not said
	totals       Source
	held         holder
}

// A knownTemplate can decode its data sets.
type knownTemplate struct {
	template
	recordReader
	repeated uint64 // source.repeats when it was last read
}

func newSource(k sourceKey, maxTemplates int) *source {
	return &source{
		key:          k,
		templates:    make(map[uint16]*knownTemplate),
		maxTemplates: maxTemplates,
		totals:       Source{Exporter: k.exporter, Version: k.version, Domain: k.domain},
	}
}

// decode reads the sets of one datagram in order.
func (s *source) decode(h header) (Message, error) {
	m := Message{
		Exporter: s.key.exporter, Version: h.version, Domain: h.domain, Sequence: h.sequence,
		ExportTime: time.Unix(int64(h.exported), 0).UTC(),
	}
	m.UnknownSets = s.held.expire(h.exported)
	err := s.decodeSets(h, &m)
	s.account(h, &m, err)
	m.Held = len(s.held.sets)
	return m, err
}

// decodeSets returns the first fault; data without a template is only counted.
func (s *source) decodeSets(h header, m *Message) (first error) {
	for b := h.sets; len(b) > 0; {
		next, rest, err := nextSet(b)
		if err == nil {
			err = s.decodeSet(h, next, m)
		}
		if first == nil {
			first = err
		}
		b = rest
	}
	return first
}

func (s *source) decodeSet(h header, next set, m *Message) error {
	switch next.kind(h.version) {
	case templateSet, optionsTemplateSet:
		all, err := parseTemplates(h.version, next)
		for _, t := range all {
			s.learn(t)
			s.decodeHeld(t.id, m)
		}
		m.Templates += len(all)
		return err
	case dataSet:
		return s.decodeData(h, next, m)
	default:
		return fmt.Errorf("set id %d is reserved", next.id)
	}
}

// learn adds or replaces a template, at the cost of the one not repeated for longest where there is
// no room.
func (s *source) learn(t template) {
	if _, ok := s.templates[t.id]; !ok && len(s.templates) >= s.maxTemplates {
		delete(s.templates, s.stale())
	}
	s.repeats++
	s.templates[t.id] = &knownTemplate{t, newRecordReader(s.key.version, t), s.repeats}
}

func (s *source) stale() (id uint16) {
	oldest := ^uint64(0)
	for _, t := range s.templates {
		if t.repeated < oldest {
			id, oldest = t.id, t.repeated
		}
	}
	return id
}

func (s *source) decodeData(h header, data set, m *Message) error {
	t, ok := s.templates[data.id]
	if !ok {
		m.incomplete = true
		if !s.held.add(h, data) {
			m.UnknownSets++
		}
		return nil
	}
	n, err := s.read(h, t, data, m)
	m.DataRecords += n
	return err
}

// decodeHeld reads the data sets that have waited for a template.
func (s *source) decodeHeld(id uint16, m *Message) {
	t := s.templates[id]
	for _, w := range s.held.take(id) {
		if t.shortest() < shortestHeld {
			m.UnknownSets++
			continue
		}
		n, err := s.read(w.header, t, w.set, m)
		if err != nil {
			m.UnknownSets++
		}
		m.Recovered += n
	}
}

// read reads a data set, and returns how many records it has.
func (s *source) read(h header, t *knownTemplate, data set, m *Message) (n int, err error) {
	records, err := t.read(data)
	if err != nil {
		return 0, err
	}
	switch {
	case t.option:
		s.addOptions(t, records, m)
	case t.isNAT():
		for _, r := range records {
			m.NATEvents = append(m.NATEvents, newNATEvent(elements{t.fields, r, 0}))
		}
	default:
		s.addFlows(h, t, records, m)
	}
	return len(records), nil
}

func (s *source) addFlows(h header, t *knownTemplate, records []record, m *Message) {
	clock, biflow, first := clock{header: h, systemInit: s.systemInit}, t.isBiflow(), len(m.Flows)
	m.Flows = slices.Grow(m.Flows, len(records))
	for _, r := range records {
		e := elements{t.fields, r, 0}
		if biflow {
			m.Flows = append(m.Flows, newBiflow(e, clock)...)
		} else {
			m.Flows = append(m.Flows, newFlow(e, clock))
		}
	}
	for i := first; i < len(m.Flows); i++ {
		f := &m.Flows[i]
		f.Exporter, f.Version, f.Domain, f.Template = s.key.exporter, h.version, h.domain, t.id
	}
}

// addOptions reads option data. In v9 it leaves out the scope, whose types are no information
// elements (RFC 3954, 6.1).
func (s *source) addOptions(t *knownTemplate, records []record, m *Message) {
	m.OptionRecords += len(records)
	for _, r := range records {
		e := elements{t.fields, r, 0}
		if s.key.version == versionNetFlow9 {
			e = elements{t.fields[t.scopes:], r[t.scopes:], 0}
		}
		if n, ok := e.number(samplingInterval); ok {
			m.SamplingInterval = uint32(n)
		}
		if name := e.value(interfaceName); name != nil {
			m.Interfaces = append(m.Interfaces,
				Interface{
					uint32(e.uint(ingressInterface)), text(name),
					text(e.value(interfaceDescription)),
				})
		}
		if n, ok := e.number(systemInitTimeMilliseconds); ok {
			s.systemInit = n
		}
	}
}

// account follows the sequence. The records in a set that could not be read are not known, so
// neither is the next number.
func (s *source) account(h header, m *Message, err error) {
	m.Units = 1
	exact := true
	if h.version == versionIPFIX {
		exact = err == nil && !m.incomplete
		s.count(m, exact)
	}
	m.Missed, m.Late = s.sequence.advance(m.Sequence, m.Units, exact)
	s.totals.Datagrams++
	s.totals.Flows += uint64(len(m.Flows))
	s.totals.MissedUnits += uint64(m.Missed)
	if m.Late {
		s.totals.LateDatagrams++
	}
}

// count finds out what a message adds to the sequence, and where it is in it.
func (s *source) count(m *Message, exact bool) {
	options := uint32(m.OptionRecords)
	m.Units = uint32(m.DataRecords)
	if exact && s.custom.observe(m.Sequence, m.Units, options) {
		s.sequence, m.Rebased = sequence{}, true
	}
	if s.custom.countsItself {
		m.Units -= options
		m.Sequence -= m.Units
	}
}

func (s *source) report() Source {
	r := s.totals
	r.Templates = len(s.templates)
	return r
}
