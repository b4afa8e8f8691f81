package decode

const (
	protocolICMP   = 1
	protocolICMPv6 = 58
)

// newFlow reads a data record by its information elements, in any template and order.
func newFlow(e elements, c clock) Flow {
	f := Flow{
		Src:       e.address(sourceIPv4Address, sourceIPv6Address),
		Dst:       e.address(destinationIPv4Address, destinationIPv6Address),
		SrcPort:   uint16(e.uint(sourceTransportPort)),
		DstPort:   uint16(e.uint(destinationTransportPort)),
		Protocol:  uint8(e.uint(protocolIdentifier)),
		Input:     uint32(e.uint(ingressInterface)),
		Output:    uint32(e.uint(egressInterface)),
		Start:     c.start(e),
		End:       c.end(e),
		EndReason: uint8(e.uint(flowEndReason)),
		FlowID:    e.uint(flowID),
		VLAN:      uint16(e.uint(vlanID)),
		PostVLAN:  uint16(e.uint(postVlanID)),
		InputZone: uint32(e.uint(ingressVRFID)), OutputZone: uint32(e.uint(egressVRFID)),
		BiflowDirection: uint8(e.uint(biflowDirection)),
		Mark:            elements{e.fields, e.values, pmacctPEN}.uint(pmacctTag),
	}
	f.setTraffic(e)
	if f.isICMP() {
		f.setICMP(e)
	}
	return f
}

// setTraffic reads what each direction of a connection has of its own.
func (f *Flow) setTraffic(e elements) {
	f.PostSrc = e.translated(postNATSourceIPv4Address, postNATSourceIPv6Address)
	f.PostDst = e.translated(postNATDestinationIPv4Address, postNATDestinationIPv6Address)
	f.PostSrcPort = uint16(e.uint(postNAPTSourceTransportPort))
	f.PostDstPort = uint16(e.uint(postNAPTDestinationTransportPort))
	f.TCPFlags = uint8(e.uint(tcpControlBits))
	f.ToS = uint8(e.uint(ipClassOfService))
	f.Direction = uint8(e.uint(flowDirection))
	f.Packets = e.uint(packetDeltaCount, packetTotalCount)
	f.Bytes = e.uint(octetDeltaCount, octetTotalCount)
	f.SrcMAC, f.DstMAC = [6]byte{}, [6]byte{}
	copy(f.SrcMAC[:], e.value(sourceMacAddress))
	copy(f.DstMAC[:], e.value(postDestinationMacAddress))
}

func (f *Flow) isICMP() bool { return f.Protocol == protocolICMP || f.Protocol == protocolICMPv6 }

// setICMP reads type<<8|code from its own element, else from the destination port, where NetFlow
// has always put it.
func (f *Flow) setICMP(e elements) {
	n := e.uint(icmpTypeCodeIPv4, icmpTypeCodeIPv6, destinationTransportPort)
	f.ICMPType, f.ICMPCode = uint8(n>>8), uint8(n)
	f.DstPort = 0
}
