package export

import "slices"

// reversePEN marks an element as that of the reverse direction (RFC 5103, section 6.1).
const reversePEN = 29305

// enterpriseBit says that an enterprise number follows an element's length.
const enterpriseBit = 1 << 15

// biflow makes a template one for both directions. The source is the host that opened
// the connection, if that is known; what isn't repeated for the reverse direction is the same in it, or
// the other way round.
func (t *template) biflow() {
	t.fields = append(t.fields, field{element{239, 1, "biflowDirection"}, initiator})
	for _, f := range t.fields {
		if f.hasReverse() {
			t.reverse = append(t.reverse, f)
		}
	}
}

// hasReverse reports whether the value of the other direction doesn't follow from this
// one's.
func (f *field) hasReverse() bool {
	return slices.Contains([]uint16{1, 2, 6, 32, 56, 57, 61, 139, 225, 226, 227, 228, 281, 282}, f.id)
}

// appendReverse adds the field specifier of the reverse direction.
func (e element) appendReverse(b []byte) []byte {
	b = be.AppendUint16(b, e.id|enterpriseBit)
	return be.AppendUint32(be.AppendUint16(b, e.size), reversePEN)
}
