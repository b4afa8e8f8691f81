package export

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/conntally/conntally/flow"
)

// Ids of the options templates.
const (
	samplingOption   = 512 // Akvorado drops every flow of an exporter that doesn't tell its rate
	interfaceOption  = 513
	statisticsOption = 514
)

// option is a kind of option data records: its template and how one is filled.
type option struct {
	id     uint16
	alone  bool          // a record takes a set of its own: nfdump 1.7.1 miscounts several
	fields []optionField // the first is the scope
}

// optionField is one element of an options template and how a record fills it. It is
// to options what field is to flows.
type optionField struct {
	element
	put func(b []byte, d *optionData)
}

// optionData is what option data records tell. Each takes its part.
type optionData struct {
	domain uint32
	link   flow.Interface
	totals totals
}

// totals are what went to a collector so far, and what should have and did not.
type totals struct {
	octets, messages, flows uint64
	lost                    sum
}

// options returns all kinds in order of their ids.
func options(p Protocol) []option {
	return []option{sampling(p), naming(p), statistics(p)}
}

// sampling tells the sampling interval of the whole exporter. The element is the
// deprecated one, which all collectors read.
func sampling(p Protocol) option {
	return option{id: samplingOption, fields: []optionField{
		domainScope(p),
		{element{34, 4, "samplingInterval"}, func(b []byte, _ *optionData) { be.PutUint32(b, 1) }}, // every packet is counted
	}}
}

// naming tells what an ifIndex stands for. It is no scope: not all collectors look
// there.
func naming(p Protocol) option {
	return option{id: interfaceOption, alone: true, fields: []optionField{
		domainScope(p),
		{element{10, 4, "ingressInterface"}, func(b []byte, d *optionData) { be.PutUint32(b, d.link.Index) }},
		{element{82, 16, "interfaceName"}, func(b []byte, d *optionData) { putText(b, d.link.Name) }},
		{element{83, 32, "interfaceDescription"}, func(b []byte, d *optionData) { putText(b, d.link.Description) }},
	}}
}

// statistics tell how the export goes.
func statistics(p Protocol) option {
	scope := domainScope(p)
	if p == IPFIX {
		scope.element = element{144, 4, "exportingProcessId"}
	}
	return option{id: statisticsOption, fields: []optionField{
		scope,
		{element{40, 8, "exportedOctetTotalCount"}, func(b []byte, d *optionData) { be.PutUint64(b, d.totals.octets) }},
		{element{41, 8, "exportedMessageTotalCount"}, func(b []byte, d *optionData) { be.PutUint64(b, d.totals.messages) }},
		{element{42, 8, "exportedFlowRecordTotalCount"}, func(b []byte, d *optionData) { be.PutUint64(b, d.totals.flows) }},
		{element{166, 8, "notSentFlowTotalCount"}, func(b []byte, d *optionData) { be.PutUint64(b, d.totals.lost.flows) }},
		{element{167, 8, "notSentPacketTotalCount"}, func(b []byte, d *optionData) { be.PutUint64(b, d.totals.lost.packets) }},
		{element{168, 8, "notSentOctetTotalCount"}, func(b []byte, d *optionData) { be.PutUint64(b, d.totals.lost.octets) }},
	}}
}

// domainScope is the exporter as a whole: NetFlow v9's scope "System", IPFIX's
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
	const scopes = 1
	b = be.AppendUint16(b, o.id)
	if p == NetFlow9 {
		b = be.AppendUint16(b, 4*scopes)
		b = be.AppendUint16(b, uint16(4*(len(o.fields)-scopes)))
	} else {
		b = be.AppendUint16(b, uint16(len(o.fields)))
		b = be.AppendUint16(b, scopes)
	}
	for _, f := range o.fields {
		b = f.append(b)
	}
	return b
}

// size returns the octets of a record.
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

// putText fills b with as much of s as fits before a NUL, in whole characters that
// can be printed.
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
