package route

import "slices"

// atoms cuts all addresses at the edges of all networks that a route or a rule
// names, and at those that the kernel itself distinguishes. Between two edges every
// address is routed alike, so that one look-up serves for all: most of the Internet,
// for most routers.
type atoms struct {
	edges []number // in order, none twice, never written to; the first address of all is implied
	v4    []uint32 // those among edges that are IPv4; the first address of IPv4 is implied
	added []number // not in edges yet
	fine  bool     // there are too many: every address is by itself
}

const (
	// mostEdges bounds the edges, at 16 B each. Only a full table of the Internet has more.
	mostEdges = 1 << 14
	// mostAdded is how many edges are merged at once.
	mostAdded = 1 << 12
)

// add adds the edges of a network.
func (a *atoms) add(p *prefix) {
	if a.fine || p.bits == 0 {
		return
	}
	first, behind := p.edges()
	for _, n := range [...]number{first, behind} {
		if _, known := slices.BinarySearchFunc(a.edges, n, number.compare); !known {
			a.added = append(a.added, n)
		}
	}
	if len(a.added) >= mostAdded {
		a.merge()
	}
}

// merge merges the added edges into a new slice, since views have the old one.
func (a *atoms) merge() {
	if len(a.added) == 0 {
		return
	}
	edges := append(slices.Clone(a.edges), a.added...)
	slices.SortFunc(edges, number.compare)
	edges = slices.Compact(edges)
	*a = atoms{edges: edges, v4: edges4(edges), added: a.added[:0]}
	if len(edges) > mostEdges {
		*a = atoms{fine: true}
	}
}

// merged returns what a view needs. If fine is true, every address is by itself.
func (a *atoms) merged(fine bool) atoms {
	return atoms{edges: a.edges, v4: a.v4, fine: a.fine || fine}
}

// edges4 returns the edges that are IPv4.
func edges4(edges []number) (v4 []uint32) {
	for _, n := range edges {
		if n.isMapped() {
			v4 = append(v4, uint32(n.low))
		}
	}
	return v4
}

// of returns the first address that is routed as n is, once all are merged.
func (a *atoms) of(n number) number {
	if a.fine {
		return n
	}
	if n.isMapped() {
		return mapped(last(a.v4, uint32(n.low)))
	}
	if at := upTo(a.edges, n); at > 0 {
		return a.edges[at-1]
	}
	return number{}
}

// last returns the last of numbers in order that is n or less, or 0.
func last(sorted []uint32, n uint32) (at uint32) {
	for low, high := uint(0), uint(len(sorted)); low < high; {
		half := (low + high) / 2
		if middle := sorted[half]; middle <= n {
			at, low = middle, half+1
		} else {
			high = half
		}
	}
	return at
}
