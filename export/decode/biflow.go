package decode

import "cmp"

// reversePEN is the enterprise number of elements of the reverse direction (RFC 5103, 6.1).
const reversePEN = 29305

// Values of biflowDirection (RFC 5103, 6.3): which end opened the connection.
const (
	initiator        = 1
	reverseInitiator = 2
)

// isBiflow reports whether records of t count both directions.
func (t *template) isBiflow() bool {
	for _, f := range t.fields {
		if f.enterprise == reversePEN && (f.id == octetDeltaCount || f.id == packetDeltaCount) {
			return true
		}
	}
	return false
}

// newBiflow reads a record of both directions as a flow of each. A direction that moved nothing has
// none, but for the first, where neither did.
func newBiflow(e elements, c clock) []Flow {
	forward := newFlow(e, c)
	reverse := forward.reversed(elements{e.fields, e.values, reversePEN})
	switch {
	case reverse.Packets == 0 && reverse.Bytes == 0:
		return []Flow{forward}
	case forward.Packets == 0 && forward.Bytes == 0:
		return []Flow{reverse}
	}
	return []Flow{forward, reverse}
}

// reversed is the flow of the other direction: e are its own elements, all else is the same or the
// other way round. Its sender is the host that received what was sent, after translation.
func (f Flow) reversed(e elements) Flow {
	if f.PostDst.IsValid() {
		f.Dst, f.DstPort = f.PostDst, cmp.Or(f.PostDstPort, f.DstPort)
	}
	f.Src, f.Dst, f.SrcPort, f.DstPort = f.Dst, f.Src, f.DstPort, f.SrcPort
	f.Input, f.Output, f.VLAN, f.PostVLAN = f.Output, f.Input, f.PostVLAN, f.VLAN
	f.InputZone, f.OutputZone = f.OutputZone, f.InputZone
	if f.BiflowDirection == initiator || f.BiflowDirection == reverseInitiator {
		f.BiflowDirection = initiator + reverseInitiator - f.BiflowDirection
	}
	f.setTraffic(e)
	if f.isICMP() {
		f.SrcPort = 0
		f.setICMP(e)
	}
	return f
}
