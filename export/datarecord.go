package export

import (
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// dataRecord is the content of one data record: one direction of a connection or, with
// reverse, both (RFC 5103). The zero value is no record.
type dataRecord struct {
	record  *flow.Record
	reverse *flow.Record
}

// dataRecords returns the records that a pair becomes: none, one, or one for each direction.
func (e *Encoder) dataRecords(p *flow.Pair) (first, second dataRecord) {
	original, reply := &p[conntrack.Original], &p[conntrack.Reply]
	switch {
	case original.NAT != 0:
		if e.options.NATEvents {
			first.record = original
		}
	case e.options.Biflow:
		first = dataRecord{original, reply}
	default:
		if original.Moved() {
			first.record = original
		}
		if reply.Moved() {
			second.record = reply
		}
	}
	return first, second
}

// Fits reports whether the message has room for all records of a pair. They leave in one
// message, since one checkpoint covers them.
func (e *Encoder) Fits(p *flow.Pair) bool {
	first, second := e.dataRecords(p)
	if first.record == nil {
		first, second = second, dataRecord{}
	}
	if first.record == nil {
		return true
	}
	t := e.templateOf(first)
	size := t.size
	if second.record != nil {
		size += e.templateOf(second).size + setHeaderLen + padding
	}
	return e.hasRoom(t.id, size, false)
}

// templateOf returns the template that describes d.
func (e *Encoder) templateOf(d dataRecord) *template {
	kind := kindOf(d.record)
	if d.reverse != nil && d.reverse.Translated {
		kind |= translatedBit
	}
	return &e.templates[kind]
}
