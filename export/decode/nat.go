package decode

import (
	"net/netip"
	"time"
)

// A NATEvent says that a translation began or ended, or what else natEvent names: a record of RFC
// 8158, without counters.
type NATEvent struct {
	Observed time.Time // 323; zero = not said
	Event    uint8     // 230: 4 NAT44 session create, 5 delete; 1 and 2 the same of any translation
	Protocol uint8     // 4

	Src, Dst, PostSrc, PostDst netip.Addr // 8, 12, 225, 226, or 27, 28, 281, 282
	// 7, 11, 227, 228; of ICMP, SrcPort is the identifier
	SrcPort, DstPort, PostSrcPort, PostDstPort uint16
}

// isNAT reports whether records of t are events: a flow record may name one, too.
func (t *template) isNAT() bool {
	event := false
	for _, f := range t.fields {
		switch f.id {
		case octetDeltaCount, packetDeltaCount, octetTotalCount, packetTotalCount:
			return false
		case natEvent:
			event = event || f.enterprise == 0
		}
	}
	return event
}

func newNATEvent(e elements) NATEvent {
	n := NATEvent{
		Event: uint8(e.uint(natEvent)), Protocol: uint8(e.uint(protocolIdentifier)),
		Src:         e.address(sourceIPv4Address, sourceIPv6Address),
		Dst:         e.address(destinationIPv4Address, destinationIPv6Address),
		PostSrc:     e.address(postNATSourceIPv4Address, postNATSourceIPv6Address),
		PostDst:     e.address(postNATDestinationIPv4Address, postNATDestinationIPv6Address),
		SrcPort:     uint16(e.uint(sourceTransportPort)),
		DstPort:     uint16(e.uint(destinationTransportPort)),
		PostSrcPort: uint16(e.uint(postNAPTSourceTransportPort)),
		PostDstPort: uint16(e.uint(postNAPTDestinationTransportPort)),
	}
	if ms, ok := e.number(observationTimeMilliseconds); ok {
		n.Observed = utc(ms)
	}
	return n
}
