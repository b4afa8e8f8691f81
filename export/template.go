package export

import (
	"slices"

	"github.com/conntally/conntally/flow"
)

// firstTemplate is the id of the first flow template. The id of another is firstTemplate plus the
// bits of what it describes.
const firstTemplate = 256

// The bits of what a flow template describes.
const (
	translatedBit = 1 << iota
	icmpBit
	v6Bit
	templateCount
)

// template describes data records of one kind.
type template struct {
	id      uint16
	fields  []field
	reverse []field // of the other direction, after fields

	size                int    // of a record, octets
	spans, reverseSpans []span // where in a scratch its values are
	inPlace             bool   // they are the beginning of a scratch
}

// templates returns the flow templates in order of their ids.
func templates(p Protocol, o RecordOptions) []template {
	all := make([]template, 0, templateCount)
	for kind := range templateCount {
		all = append(all, newTemplate(p, kind, o.supportedBy(p)))
	}
	return all
}

func newTemplate(p Protocol, kind int, o RecordOptions) template {
	v6 := kind&v6Bit != 0
	addresses, translation := addresses4, translation4
	if v6 {
		addresses, translation = addresses6, translation6
	}
	t := template{id: uint16(firstTemplate + kind)}
	t.fields = slices.Concat(addresses(), endpoints(), traffic(), times(p), ending())
	if kind&icmpBit != 0 {
		t.fields = append(t.fields, icmp(p, v6)...)
	}
	if kind&translatedBit != 0 {
		t.fields = append(t.fields, translation()...)
	}
	t.fields = append(t.fields, o.fields()...)
	if o.Biflow {
		t.id += templateCount
		t.biflow()
	}
	t.measure()
	return t
}

// measure computes size, spans and inPlace.
func (t *template) measure() {
	t.spans, t.reverseSpans = spansOf(t.fields), spansOf(t.reverse)
	t.size = 0
	for _, f := range slices.Concat(t.fields, t.reverse) {
		t.size += int(f.size)
	}
	t.inPlace = len(t.reverse) == 0 && slices.Equal(t.spans, []span{{0, offset(t.size)}})
}

// kindOf returns the index in Encoder.templates of the template that describes r.
func kindOf(r *flow.Record) int {
	if r.NAT != 0 {
		if r.IsIPv6() {
			return natKind6
		}
		return natKind4
	}
	kind := 0
	if r.IsIPv6() {
		kind |= v6Bit
	}
	if r.IsICMP() {
		kind |= icmpBit
	}
	if r.Translated {
		kind |= translatedBit
	}
	return kind
}

// append adds the template record (RFC 3954 section 5.2, RFC 7011 section 3.4.1).
func (t *template) append(b []byte) []byte {
	b = be.AppendUint16(b, t.id)
	b = be.AppendUint16(b, uint16(len(t.fields)+len(t.reverse)))
	for _, f := range t.fields {
		b = f.append(b)
	}
	for _, f := range t.reverse {
		b = f.appendReverse(b)
	}
	return b
}

// append adds the field specifier.
func (e element) append(b []byte) []byte {
	b = be.AppendUint16(be.AppendUint16(b, e.id), e.size)
	if e.id&enterpriseBit != 0 {
		b = be.AppendUint32(b, pmacctPEN)
	}
	return b
}
