package route

import "slices"

// atoms cuts all addresses at the edges of all networks that a route or a rule
// names. Between two edges every address is routed alike, so that one look-up
// serves for all: most of the Internet, for most routers.
type atoms struct {
	edges []number // in order, none twice; the first address of all is implied
	fine  bool     // there are too many: every address is by itself
}

// mostEdges bounds what is kept of the routes, at 16 B each. More come with full
// tables of the Internet.
const mostEdges = 1 << 14

// add cuts at the edges of a network.
func (a *atoms) add(p *prefix) {
	if a.fine || p.bits == 0 {
		return
	}
	first, behind := p.edges()
	a.cut(first)
	a.cut(behind)
	if len(a.edges) > mostEdges {
		*a = atoms{fine: true}
	}
}

func (a *atoms) cut(n number) {
	if at, known := slices.BinarySearchFunc(a.edges, n, number.compare); !known {
		a.edges = slices.Insert(a.edges, at, n)
	}
}

// of returns the first address that is routed as n is.
func (a *atoms) of(n number) number {
	if a.fine {
		return n
	}
	if at := upTo(a.edges, n); at > 0 {
		return a.edges[at-1]
	}
	return number{}
}
