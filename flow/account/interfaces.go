package account

import "github.com/conntally/conntally/conntrack"

// maxInterfaces bounds the interfaces that are counted: those of containers come and go.
const maxInterfaces = 4096

// InterfaceUsage is what passed by an interface, in bytes.
type InterfaceUsage struct {
	Index          uint32
	Received, Sent uint64
}

// interfaces counts by ifIndex. The first place is for what has no interface.
type interfaces struct {
	all   []InterfaceUsage
	index map[uint32]uint16
}

func newInterfaces() interfaces {
	return interfaces{all: make([]InterfaceUsage, 1), index: map[uint32]uint16{0: 0}}
}

// place returns the place of an interface; 0 where there are too many.
func (t *interfaces) place(index uint32) uint16 {
	at, known := t.index[index]
	if !known && len(t.all) < maxInterfaces {
		at = uint16(len(t.all))
		t.all = append(t.all, InterfaceUsage{Index: index})
		t.index[index] = at
	}
	return at
}

// count adds what a connection moved that comes in by one interface and leaves by another.
func (t *interfaces) count(places [2]uint16, moved *[2]conntrack.Counters) {
	for d, at := range places {
		t.all[at].Received += moved[d].Bytes
		t.all[at].Sent += moved[1-d].Bytes
	}
}
