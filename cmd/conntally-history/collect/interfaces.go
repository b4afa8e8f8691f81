package collect

import "github.com/conntally/conntally/export/decode"

const (
	maxInterfaces = 1 << 10
	// maxFlips is how often interfaces may change sides between two batches. An exporter with
	// more means something else by flowDirection (61) than conntally does.
	maxFlips = 16
)

// interfaces are those of an exporter: which of them are uplinks. conntally says so by
// flowDirection: 1 in records of what leaves by an uplink, 0 in others. A record that goes the
// other way says nothing of the interface that it came by, so that it may have to wait for one
// that does.
type interfaces struct {
	uplink  map[uint32]bool // by ifIndex
	uplinks int             // how many are true
	flips   int             // between two batches
	vague   bool            // there were too many flips
	changed bool            // since release
	decided bool            // no use in waiting for an exporter's first uplink
}

func newInterfaces() interfaces { return interfaces{uplink: map[uint32]bool{}} }

// learn learns from a record which side its output is. Only what was forwarded says that:
// other programs have the interface that they listen at as both, or as one.
func (n *interfaces) learn(f *decode.Flow) {
	if f.Input == 0 || f.Output == 0 || f.Input == f.Output {
		return
	}
	is, before := f.Direction == 1, n.uplinks
	was, known := n.uplink[f.Output]
	if known && was == is || !known && len(n.uplink) >= maxInterfaces {
		return
	}
	if known {
		n.flips++
		n.vague = n.vague || n.flips > maxFlips
	}
	n.uplink[f.Output], n.changed = is, true
	switch {
	case is:
		n.uplinks++
	case known:
		n.uplinks--
	}
	if before == 0 && n.uplinks > 0 {
		n.decided = true
	}
}

// tell reports whether the exporter's interfaces say which end is outside.
func (n *interfaces) tell() bool {
	return n.uplinks > 0 && n.uplinks < len(n.uplink) && !n.vague
}

// knows reports whether nothing is gained by waiting for other records before f is counted.
func (n *interfaces) knows(f *decode.Flow) bool {
	if f.Input == 0 && f.Output == 0 {
		return true
	}
	if !n.tell() {
		return n.decided && n.uplinks == 0 || n.vague
	}
	_, in := n.uplink[f.Input]
	_, out := n.uplink[f.Output]
	return (in || f.Input == 0) && (out || f.Output == 0)
}

// side returns where the end behind an interface is, as far as the interfaces say that. beyond
// is the other interface of the record.
func (n *interfaces) side(index, beyond uint32) place {
	if !n.tell() {
		return unknown
	}
	if index == 0 {
		if beyond == 0 {
			return unknown
		}
		return self
	}
	uplink, known := n.uplink[index]
	switch {
	case !known:
		return unknown
	case uplink:
		return outside
	}
	return inside
}
