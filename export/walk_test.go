package export

import "testing"

// rawMessage is a message that was parsed without the code that made it.
type rawMessage struct {
	protocol         Protocol
	count            int // v9
	uptime           uint32
	seconds          uint32
	sequence, domain uint32
	sets             []rawSet
}

type rawSet struct {
	id      uint16
	content []byte // behind the set header, padding included
}

// specifier is an element and its length in a template.
type specifier struct{ id, size uint16 }

// walk parses a message and checks its lengths.
func walk(t testing.TB, b []byte) rawMessage {
	t.Helper()
	m := rawMessage{protocol: Protocol(be.Uint16(b))}
	if m.protocol == NetFlow9 {
		m.count, m.uptime, m.seconds = int(be.Uint16(b[2:])), be.Uint32(b[4:]), be.Uint32(b[8:])
		m.sequence, m.domain = be.Uint32(b[12:]), be.Uint32(b[16:])
		b = b[20:]
	} else {
		if n := int(be.Uint16(b[2:])); n != len(b) {
			t.Fatalf("message length %d, the datagram has %d octets", n, len(b))
		}
		m.seconds, m.sequence, m.domain = be.Uint32(b[4:]), be.Uint32(b[8:]), be.Uint32(b[12:])
		b = b[16:]
	}
	m.sets = walkSets(t, b)
	return m
}

func walkSets(t testing.TB, b []byte) (sets []rawSet) {
	t.Helper()
	for len(b) > 0 {
		n := int(be.Uint16(b[2:]))
		if n <= 4 || n%4 != 0 || n > len(b) {
			t.Fatalf("set %d has length %d, %d octets are left", be.Uint16(b), n, len(b))
		}
		sets = append(sets, rawSet{be.Uint16(b), b[4:n]})
		b = b[n:]
	}
	return sets
}

// templatesIn parses a set of templates. At most three octets may follow the last.
func templatesIn(s rawSet) map[uint16][]specifier {
	all := make(map[uint16][]specifier)
	for b := s.content; len(b) >= 4; {
		id, n := be.Uint16(b), int(be.Uint16(b[2:]))
		all[id], b = specifiers(b[4:], n)
	}
	return all
}

// specifiers parses n field specifiers. That of an enterprise is longer.
func specifiers(b []byte, n int) (all []specifier, rest []byte) {
	for range n {
		s := specifier{be.Uint16(b), be.Uint16(b[2:])}
		if b = b[4:]; s.id&enterpriseBit != 0 {
			b = b[4:]
		}
		all = append(all, s)
	}
	return all, b
}

// recordsIn returns how many data records a set has, by the size of one, and how
// many octets of padding.
func recordsIn(p Protocol, s rawSet) (records, padding int) {
	size, ok := map[uint16]int{512: 8, 513: 56, 514: 52}[s.id]
	if !ok {
		size = wantSize(p, s.id)
	}
	return len(s.content) / size, len(s.content) % size
}

// wantSize adds up a record's size by what its template id stands for.
func wantSize(p Protocol, id uint16) int {
	address, times := 4, 16
	if id&v6Bit != 0 {
		address = 16
	}
	if p == NetFlow9 {
		times = 8
	}
	size := 2*address + 2*2 + 4*1 + 2*4 + 2*8 + times + 1
	if id&icmpBit != 0 {
		size += 2
	}
	if id&translatedBit != 0 {
		size += 2*address + 2*2
	}
	return size
}
