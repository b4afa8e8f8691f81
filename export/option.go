package export

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/conntally/conntally/flow"
)

// Ids of the options templates.
const (
	samplingOption   = 512 // Akvorado drops all flows of an exporter without a sampling rate
	interfaceOption  = 513
	statisticsOption = 514
)

// option is one kind of option data record: its template and how a record is filled in.
type option struct {
	id     uint16
	alone  bool // each record is in a set of its own: nfdump 1.7.1 miscounts several
	scopes int  // how many of the fields, from the first, are the scope
	fields []optionField
}

// optionField is one element of an options template and how a record's value is written.
type optionField struct {
	element
	put func(b []byte, d *optionData)
}

// optionData holds the values of all kinds of option data records. Each kind uses some.
type optionData struct {
	domain     uint32
	iface      flow.Interface
	statistics statistics
}

// statistics are the totals of what was sent to a collector, and of what was dropped.
type statistics struct {
	octets, messages, flows uint64
	dropped                 flowTotals
}

// options returns all kinds in order of their ids.
func options(p Protocol) []option {
	return []option{samplingRate(p), interfaceNames(p), exportStatistics(p)}
}

// samplingRate describes the sampling interval of the whole exporter: every packet is counted.
// The element is the deprecated one, which all collectors read.
func samplingRate(p Protocol) option {
	return option{id: samplingOption, scopes: 1, fields: []optionField{
		domainScope(p),
		{element{34, 4, "samplingInterval"}, func(b []byte, _ *optionData) { be.PutUint32(b, 1) }},
	}}
}

// interfaceNames describes an interface. Its ifIndex is not a scope field, since not all
// collectors read it there. In IPFIX its name is one: nfdump expects nothing but index and
// description after the scope, and logs the rest of each record as extra bytes.
func interfaceNames(p Protocol) option {
	index := func(b []byte, d *optionData) { be.PutUint32(b, d.iface.Index) }
	name := func(b []byte, d *optionData) { putText(b, d.iface.Name) }
	description := func(b []byte, d *optionData) { putText(b, d.iface.Description) }
	o := option{id: interfaceOption, alone: true, scopes: 1, fields: []optionField{
		domainScope(p),
		{element{10, 4, "ingressInterface"}, index},
		{element{82, 16, "interfaceName"}, name},
		{element{83, 32, "interfaceDescription"}, description},
	}}
	if p == IPFIX { // whose scopes are information elements
		o.scopes, o.fields[1], o.fields[2] = 2, o.fields[2], o.fields[1]
	}
	return o
}

// exportStatistics describes the totals of what was sent and dropped.
func exportStatistics(p Protocol) option {
	scope := domainScope(p)
	if p == IPFIX {
		scope.element = element{144, 4, "exportingProcessId"}
	}
	total := func(id uint16, name string, of func(*statistics) uint64) optionField {
		put := func(b []byte, d *optionData) { be.PutUint64(b, of(&d.statistics)) }
		return optionField{element{id, 8, name}, put}
	}
	return option{id: statisticsOption, scopes: 1, fields: []optionField{
		scope,
		total(40, "exportedOctetTotalCount", func(s *statistics) uint64 { return s.octets }),
		total(41, "exportedMessageTotalCount", func(s *statistics) uint64 { return s.messages }),
		total(42, "exportedFlowRecordTotalCount", func(s *statistics) uint64 { return s.flows }),
		total(166, "notSentFlowTotalCount", func(s *statistics) uint64 { return s.dropped.flows }),
		total(167, "notSentPacketTotalCount",
			func(s *statistics) uint64 { return s.dropped.packets }),
		total(168, "notSentOctetTotalCount",
			func(s *statistics) uint64 { return s.dropped.octets }),
	}}
}

// domainScope returns the scope field for the whole exporter: NetFlow v9's "System", IPFIX's
// observation domain.
func domainScope(p Protocol) optionField {
	e := element{149, 4, "observationDomainId"}
	if p == NetFlow9 {
		e = element{1, 4, "System"}
	}
	return optionField{e, func(b []byte, d *optionData) { be.PutUint32(b, d.domain) }}
}

// appendTemplate adds the options template record: RFC 3954 section 6.1, with
// lengths in octets, RFC 7011 section 3.4.2.2, with counts of fields.
func (o *option) appendTemplate(b []byte, p Protocol) []byte {
	b = be.AppendUint16(b, o.id)
	if p == NetFlow9 {
		b = be.AppendUint16(b, uint16(4*o.scopes))
		b = be.AppendUint16(b, uint16(4*(len(o.fields)-o.scopes)))
	} else {
		b = be.AppendUint16(b, uint16(len(o.fields)))
		b = be.AppendUint16(b, uint16(o.scopes))
	}
	for _, f := range o.fields {
		b = f.append(b)
	}
	return b
}

// size returns the length of a record in octets.
func (o *option) size() (n int) {
	for _, f := range o.fields {
		n += int(f.size)
	}
	return n
}

// put fills in a record.
func (o *option) put(b []byte, d *optionData) {
	for _, f := range o.fields {
		f.put(b[:f.size], d)
		b = b[f.size:]
	}
}

// putText fills b with as many whole characters of s as fit before a NUL. Unprintable ones
// become question marks.
func putText(b []byte, s string) {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	n := min(len(s), len(b)-1)
	for n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	clear(b[copy(b, s[:n]):])
}
