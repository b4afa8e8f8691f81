package account

import (
	"math"

	"github.com/conntally/conntally/conntrack"
)

const (
	// maxInterfaces bounds the interfaces that are counted: those of containers come and
	// go.
	maxInterfaces = 4096
	// OtherInterfaces is the index of all that find no room.
	OtherInterfaces = math.MaxUint32
)

// InterfaceUsage is what passed by an interface, in bytes.
type InterfaceUsage struct {
	Index          uint32
	Name           string // when it was first seen; "" if it wasn't known then
	Received, Sent uint64
}

// interfaces counts by ifIndex. The first place is for what has no interface, the second
// for OtherInterfaces.
type interfaces struct {
	all   []InterfaceUsage
	index map[uint32]uint16
	last  uint16 // what place returned
}

func newInterfaces() interfaces {
	return interfaces{
		all:   []InterfaceUsage{{}, {Index: OtherInterfaces}},
		index: map[uint32]uint16{0: 0, OtherInterfaces: 1},
	}
}

// interfacePlace returns the place of an interface. Its name is asked for at once: when somebody
// wants to see what it has counted, it may be gone.
func (a *Accounts) interfacePlace(index uint32) uint16 {
	t := &a.interfaces
	if t.all[t.last].Index != index {
		t.last = t.find(index)
	}
	if i := &t.all[t.last]; i.Name == "" && i.Index == index && index != 0 {
		i.Name = a.options.Resolver.Name(index)
	}
	return t.last
}

// find returns the place of an interface, which it adds if it is new.
func (t *interfaces) find(index uint32) uint16 {
	at, known := t.index[index]
	switch {
	case known:
		return at
	case len(t.all) >= maxInterfaces:
		return t.index[OtherInterfaces]
	}
	at = uint16(len(t.all))
	t.all = append(t.all, InterfaceUsage{Index: index})
	t.index[index] = at
	return at
}

// count adds what a connection moved from one interface to another.
func (t *interfaces) count(places [2]uint16, moved *[2]conntrack.Counters) {
	original, reply := moved[conntrack.Original].Bytes, moved[conntrack.Reply].Bytes
	opener, answerer := &t.all[places[0]], &t.all[places[1]]
	opener.Received += original
	opener.Sent += reply
	answerer.Received += reply
	answerer.Sent += original
}
