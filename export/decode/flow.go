package decode

const (
	protocolICMP   = 1
	protocolICMPv6 = 58
)

// newFlow reads a data record by its information elements, whatever the template's id and order.
func newFlow(e elements, c clock) Flow {
	f := Flow{
		Src:         e.address(sourceIPv4Address, sourceIPv6Address),
		Dst:         e.address(destinationIPv4Address, destinationIPv6Address),
		SrcPort:     uint16(e.uint(sourceTransportPort)),
		DstPort:     uint16(e.uint(destinationTransportPort)),
		PostSrc:     e.translated(postNATSourceIPv4Address, postNATSourceIPv6Address),
		PostDst:     e.translated(postNATDestinationIPv4Address, postNATDestinationIPv6Address),
		PostSrcPort: uint16(e.uint(postNAPTSourceTransportPort)),
		PostDstPort: uint16(e.uint(postNAPTDestinationTransportPort)),
		Protocol:    uint8(e.uint(protocolIdentifier)),
		TCPFlags:    uint8(e.uint(tcpControlBits)),
		Direction:   uint8(e.uint(flowDirection)),
		Input:       uint32(e.uint(ingressInterface)),
		Output:      uint32(e.uint(egressInterface)),
		Packets:     e.uint(packetDeltaCount, packetTotalCount),
		Bytes:       e.uint(octetDeltaCount, octetTotalCount),
		Start:       c.start(e),
		End:         c.end(e),
		EndReason:   uint8(e.uint(flowEndReason)),
	}
	if f.Protocol == protocolICMP || f.Protocol == protocolICMPv6 {
		f.setICMP(e)
	}
	return f
}

// setICMP reads type<<8|code from its own element, else from the destination port, where NetFlow has always put it.
func (f *Flow) setICMP(e elements) {
	n := e.uint(icmpTypeCodeIPv4, icmpTypeCodeIPv6, destinationTransportPort)
	f.ICMPType, f.ICMPCode = uint8(n>>8), uint8(n)
	f.DstPort = 0
}
