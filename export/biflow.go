package export

import (
	"slices"

	"github.com/conntally/conntally/flow"
)

// reversePEN marks an element as that of the reverse direction (RFC 5103, section 6.1).
const reversePEN = 29305

// enterpriseBit says that an enterprise number follows an element's length.
const enterpriseBit = 1 << 15

// biflow makes a template one for both directions. The source is the host that opened
// the connection; what isn't repeated for the reverse direction is the same in it, or
// the other way round.
func (t *template) biflow() {
	t.fields = append(t.fields, field{element{239, 1, "biflowDirection"}, initiator})
	for _, f := range t.fields {
		if f.hasReverse() {
			t.reverse = append(t.reverse, f)
		}
	}
}

// hasReverse tells whether the value of the other direction doesn't follow from this
// one's.
func (f *field) hasReverse() bool {
	return slices.Contains([]uint16{1, 2, 6, 32, 56, 61, 139, 225, 226, 227, 228, 281, 282}, f.id)
}

// appendReverse adds the field specifier of the reverse direction.
func (e element) appendReverse(b []byte) []byte {
	b = be.AppendUint16(b, e.id|enterpriseBit)
	return be.AppendUint32(be.AppendUint16(b, e.size), reversePEN)
}

// AddPair adds what both directions of a connection moved as one record, or returns
// false where the message has no room for it and is to be finished first.
func (e *Encoder) AddPair(both *[2]flow.Record, now int64) bool {
	t := &e.templates[kindOfPair(both)]
	if !e.begin(now) || !e.fits(t) {
		return false
	}
	e.newest = max(e.newest, both[0].End)
	e.openSet(t.id, false)
	at := len(e.message)
	e.message = e.message[:at+t.size]
	e.image.write(&both[0], e.boot)
	rest := e.image.put(e.message[at:], t.runs)
	e.image.write(&both[1], e.boot)
	e.image.put(rest, t.reverseRuns)
	e.records++
	e.flows.addPair(both)
	return true
}

func (s *sum) addPair(both *[2]flow.Record) {
	s.add(&both[0])
	s.packets += both[1].Packets
	s.octets += both[1].Bytes
}

// FitsPair tells whether the message has room for both as one record.
func (e *Encoder) FitsPair(both *[2]flow.Record) bool { return e.fits(&e.templates[kindOfPair(both)]) }

// FitsBoth tells whether the message has room for both as two records.
func (e *Encoder) FitsBoth(both *[2]flow.Record) bool {
	second := e.templates[kindOf(&both[1])].size + setHeaderLen + 3
	return e.hasRoom(0, e.templates[kindOf(&both[0])].size+second, true)
}

func kindOfPair(both *[2]flow.Record) int {
	kind := kindOf(&both[0])
	if both[1].Translated {
		kind |= translatedBit
	}
	return kind
}
