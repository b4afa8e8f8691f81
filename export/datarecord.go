package export

import "github.com/conntally/conntally/flow"

// dataRecord is what one data record of flows has: one direction of a connection, or
// with reverse both (RFC 5103).
type dataRecord struct {
	record  *flow.Record
	reverse *flow.Record
}

// dataRecords returns what becomes of a pair, and how many that are.
func (e *Encoder) dataRecords(p *flow.Pair) (all [2]dataRecord, n int) {
	switch {
	case p.IsNATEvent():
		if e.optional.NATEvents {
			all[0], n = dataRecord{record: &p[0]}, 1
		}
	case e.optional.Biflow:
		all[0], n = dataRecord{&p[0], &p[1]}, 1
	default:
		for d := range p {
			if p[d].Moved() {
				all[n] = dataRecord{record: &p[d]}
				n++
			}
		}
	}
	return all, n
}

// Fits reports whether the message has room for all that becomes of a pair, which is
// to leave together: it is written down together.
func (e *Encoder) Fits(p *flow.Pair) bool {
	records, n := e.dataRecords(p)
	if n == 0 {
		return true
	}
	first, more := e.templateOf(records[0]), 0
	if n > 1 {
		more = e.templateOf(records[1]).size + setHeaderLen + padding
	}
	return e.hasRoom(first.id, first.size+more, false)
}

// templateOf returns the template that describes d.
func (e *Encoder) templateOf(d dataRecord) *template {
	kind := kindOf(d.record)
	if d.reverse != nil && d.reverse.Translated {
		kind |= translatedBit
	}
	return &e.templates[kind]
}
