package export

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/flow"
)

// firstTemplate is the id of the first flow template. The others follow by what
// they describe, so that a record finds its own without a search.
const firstTemplate = 256

// Bits of a flow template's place behind firstTemplate.
const (
	translatedBit = 1 << iota
	icmpBit
	v6Bit
	templateCount
)

// template describes data records of one kind.
type template struct {
	id     uint16
	fields []field
	size   int // of a record, octets
}

// templates returns the flow templates in order of their ids.
func templates(p Protocol) []template {
	all := make([]template, 0, templateCount)
	for kind := range templateCount {
		all = append(all, newTemplate(p, kind))
	}
	return all
}

func newTemplate(p Protocol, kind int) template {
	v6 := kind&v6Bit != 0
	addresses, translation := addresses4, translation4
	if v6 {
		addresses, translation = addresses6, translation6
	}
	t := template{id: uint16(firstTemplate + kind)}
	t.fields = slices.Concat(addresses(), common(), times(p), ending())
	if kind&icmpBit != 0 {
		t.fields = append(t.fields, icmp(p, v6)...)
	}
	if kind&translatedBit != 0 {
		t.fields = append(t.fields, translation()...)
	}
	for _, f := range t.fields {
		t.size += int(f.size)
	}
	return t
}

// kindOf returns the place of the template that describes r.
func kindOf(r *flow.Record) int {
	kind := 0
	if r.Family == unix.AF_INET6 {
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
	b = be.AppendUint16(b, uint16(len(t.fields)))
	for _, f := range t.fields {
		b = f.append(b)
	}
	return b
}

func (e element) append(b []byte) []byte {
	return be.AppendUint16(be.AppendUint16(b, e.id), e.size)
}
