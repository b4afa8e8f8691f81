package route

import (
	"cmp"
	"maps"
	"slices"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// view is what is known at one time. It never changes.
type view struct {
	version uint32
	since   int64 // monotonic
	names   uint32

	interfaces []flow.Interface // by index
	owners     map[conntrack.Addr]uint32
	uplinks    map[uint32]bool
	// Addresses of ours that belong to one uplink alone, in order, and to which:
	// they tell which one their connections go by.
	telling []number
	told    []flow.Hop
	choice
}

// choice is by what else than an address and a mark the router chooses routes.
type choice struct {
	atoms     atoms
	sources   []network
	inputs    []uint32 // interfaces
	own       bool     // a rule is for what the router sends itself
	multipath bool
}

// loopback is the index of lo in every network namespace (LOOPBACK_IFINDEX).
const loopback = 1

// view makes one of what is known now. number and time are to be filled in.
func (s *state) view() *view {
	v := &view{
		interfaces: s.interfaces(), owners: s.owners(), uplinks: maps.Clone(s.uplinks),
		choice: choice{
			atoms:     atoms{edges: slices.Clone(s.atoms.edges), fine: s.atoms.fine || s.multipath},
			multipath: s.multipath,
		},
	}
	for i := range s.sources {
		v.sources = append(v.sources, s.sources[i].network())
	}
	for _, name := range s.inputs {
		if index, ok := v.index(name); ok {
			v.inputs = append(v.inputs, index)
			v.own = v.own || index == loopback
		}
	}
	v.tell()
	return v
}

// tell finds the addresses of the uplinks.
func (v *view) tell() {
	of := map[number]flow.Hop{}
	for addr, index := range v.owners {
		if v.uplinks[index] {
			of[numberOf(&addr)] = v.hop(index)
		}
	}
	v.telling = slices.SortedFunc(maps.Keys(of), number.compare)
	for _, n := range v.telling {
		v.told = append(v.told, of[n])
	}
}

// index returns the index of an interface.
func (v *view) index(name string) (uint32, bool) {
	for i := range v.interfaces {
		if v.interfaces[i].Name == name {
			return v.interfaces[i].Index, true
		}
	}
	return 0, false
}

// of returns an interface, or the zero one where there is none of this index.
func (v *view) of(index uint32) (none flow.Interface) {
	at, ok := slices.BinarySearchFunc(v.interfaces, index, func(i flow.Interface, index uint32) int {
		return cmp.Compare(i.Index, index)
	})
	if !ok {
		return none
	}
	return v.interfaces[at]
}

// hop makes a Hop of an interface.
func (v *view) hop(index uint32) flow.Hop { return flow.NewHop(index, v.uplinks[index]) }

// class numbers packets by what a rule or a route chooses by, other than destination
// and mark: those of one class are routed alike. Class 0 is routed as what nothing
// is known of.
func (c *choice) class(from *conntrack.Addr, in uint32) (class uint64) {
	add := func(n uint64) { class = (class ^ n) * 0x9e3779b97f4a7c15 }
	if len(c.sources) > 0 || c.multipath {
		n := numberOf(from)
		for i := range c.sources {
			if c.sources[i].has(n) {
				add(uint64(i) + 1)
			}
		}
		if c.multipath {
			add(n.high ^ 1<<33)
			add(n.low ^ 1<<34)
		}
	}
	for i, index := range c.inputs {
		if index == in {
			add(^uint64(i))
		}
	}
	if c.own && in != loopback {
		add(1 << 32)
	}
	return class
}
