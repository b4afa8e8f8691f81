package route

import (
	"cmp"
	"maps"
	"slices"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// view is what is known of interfaces and routes at one time. It never changes.
type view struct {
	version uint32
	names   uint32

	atoms    atoms
	bySender bool
	byFlow   bool
	*description
}

// description is what a view knows of the router's interfaces.
type description struct {
	interfaces []flow.Interface // by index
	owners     map[conntrack.Addr]uint32
	broadcasts map[conntrack.Addr]bool
	uplinks    map[uint32]bool
	multicast  map[stream]flow.Path
	// Addresses of ours that belong to one uplink alone, in order, and the uplink of
	// each: it is the one that their connections go by.
	uplinkAddresses []number
	uplinkHops      []flow.Hop
}

// loopback is the index of lo in every network namespace (LOOPBACK_IFINDEX).
const loopback = 1

// view returns a view of what is known now. It shares the description of the view before if
// that is still true.
func (s *state) view(before *view) *view {
	s.policy.atoms.merge()
	v := &view{
		atoms:    s.policy.atoms.merged(s.policy.byFlow),
		bySender: s.policy.bySender, byFlow: s.policy.byFlow,
	}
	if before != nil {
		v.version, v.names, v.description = before.version+1, before.names, before.description
	}
	if s.redescribe {
		v.description = s.description()
		s.redescribe = false
	}
	if before == nil || !slices.Equal(before.interfaces, v.interfaces) {
		v.names++
	}
	return v
}

func (s *state) description() *description {
	d := &description{
		interfaces: s.interfaces(), owners: s.owners(), broadcasts: s.broadcasts(),
		uplinks: maps.Clone(s.policy.uplinks), multicast: make(map[stream]flow.Path, len(s.multicast)),
	}
	for _, r := range s.multicast {
		d.multicast[r.stream] = flow.Path{d.hop(r.in), d.hop(r.out[0])}
	}
	of := map[number]flow.Hop{}
	for addr, index := range d.owners {
		if d.uplinks[index] {
			of[numberOf(&addr)] = d.hop(index)
		}
	}
	d.uplinkAddresses = slices.SortedFunc(maps.Keys(of), number.compare)
	for _, n := range d.uplinkAddresses {
		d.uplinkHops = append(d.uplinkHops, of[n])
	}
	return d
}

// index returns the index of an interface.
func (d *description) index(name string) (uint32, bool) {
	for i := range d.interfaces {
		if d.interfaces[i].Name == name {
			return d.interfaces[i].Index, true
		}
	}
	return 0, false
}

// of returns an interface, or the zero one where there is none of this index.
func (d *description) of(index uint32) (none flow.Interface) {
	at, ok := slices.BinarySearchFunc(d.interfaces, index,
		func(i flow.Interface, index uint32) int {
			return cmp.Compare(i.Index, index)
		})
	if !ok {
		return none
	}
	return d.interfaces[at]
}

// hop makes a Hop of an interface.
func (d *description) hop(index uint32) flow.Hop { return flow.NewHop(index, d.uplinks[index]) }
