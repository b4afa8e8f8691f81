package export

import "slices"

// reversePEN marks an element as that of the reverse direction (RFC 5103, section 6.1).
const reversePEN = 29305

// biflow makes t a template for both directions. The source is the host that opened the
// connection, if that is known. A field that is not repeated for the reverse direction has the
// same value in it, or that of its counterpart.
func (t *template) biflow() {
	t.fields = append(t.fields, field{element{239, 1, "biflowDirection"}, initiator})
	for _, f := range t.fields {
		if f.hasReverse() {
			t.reverse = append(t.reverse, f)
		}
	}
}

// hasReverse reports whether the reverse direction has a value of its own.
func (f *field) hasReverse() bool {
	ids := []uint16{1, 2, 6, 32, 56, 57, 61, 139, 225, 226, 227, 228, 281, 282}
	return slices.Contains(ids, f.id)
}

// appendReverse adds the field specifier of the reverse direction.
func (e element) appendReverse(b []byte) []byte {
	b = be.AppendUint16(b, e.id|enterpriseBit)
	return be.AppendUint32(be.AppendUint16(b, e.size), reversePEN)
}
