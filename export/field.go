package export

import "encoding/binary"

// element is an information element as a template names it.
type element struct {
	id, size uint16 // of the IANA registry, or with enterpriseBit of pmacct; octets
	name     string // likewise
}

// enterpriseBit in an id means that an enterprise number follows the element's length.
const enterpriseBit = 1 << 15

// pmacctPEN is the enterprise number of pmacct. No other registry has an element for a mark:
// pmacct's tag is what nfacctd can aggregate and filter by.
const (
	pmacctPEN = 43874
	pmacctTag = enterpriseBit | 1
)

// field is one element of the flow templates, and where in a scratch its value is. Templates,
// records and their sizes are computed from fields alone.
type field struct {
	element
	from offset
}

var be = binary.BigEndian

// The groups of fields that templates are made of.

func addresses4() []field {
	return []field{
		{element{8, 4, "sourceIPv4Address"}, src4},
		{element{12, 4, "destinationIPv4Address"}, dst4},
	}
}

func addresses6() []field {
	return []field{
		{element{27, 16, "sourceIPv6Address"}, src6},
		{element{28, 16, "destinationIPv6Address"}, dst6},
	}
}

func endpoints() []field {
	return []field{
		{element{7, 2, "sourceTransportPort"}, srcPort},
		{element{11, 2, "destinationTransportPort"}, dstPort},
		{element{4, 1, "protocolIdentifier"}, proto},
	}
}

func traffic() []field {
	return []field{
		{element{6, 1, "tcpControlBits"}, tcpFlags},
		{element{5, 1, "ipClassOfService"}, tos},
		{element{61, 1, "flowDirection"}, egress},
		{element{10, 4, "ingressInterface"}, input},
		{element{14, 4, "egressInterface"}, output},
		{element{1, 8, "octetDeltaCount"}, octets},
		{element{2, 8, "packetDeltaCount"}, packets},
	}
}

// times are absolute in IPFIX. In NetFlow v9, nfdump, goflow2 and pmacct agree only on uptimes.
func times(p Protocol) []field {
	if p == NetFlow9 {
		return []field{
			{element{22, 4, "flowStartSysUpTime"}, startUptime},
			{element{21, 4, "flowEndSysUpTime"}, endUptime},
		}
	}
	return []field{
		{element{152, 8, "flowStartMilliseconds"}, startMillis},
		{element{153, 8, "flowEndMilliseconds"}, endMillis},
	}
}

func ending() []field {
	return []field{
		{element{136, 1, "flowEndReason"}, endReason},
	}
}

// icmp returns type and code. NetFlow v9 has one element for both families.
func icmp(p Protocol, v6 bool) []field {
	e := element{32, 2, "icmpTypeCodeIPv4"}
	if v6 && p == IPFIX {
		e = element{139, 2, "icmpTypeCodeIPv6"}
	}
	return []field{{e, dstPort}}
}

func translation4() []field {
	return append([]field{
		{element{225, 4, "postNATSourceIPv4Address"}, postSrc4},
		{element{226, 4, "postNATDestinationIPv4Address"}, postDst4},
	}, translatedPorts()...)
}

func translation6() []field {
	return append([]field{
		{element{281, 16, "postNATSourceIPv6Address"}, postSrc6},
		{element{282, 16, "postNATDestinationIPv6Address"}, postDst6},
	}, translatedPorts()...)
}

func translatedPorts() []field {
	return []field{
		{element{227, 2, "postNAPTSourceTransportPort"}, postSrcPort},
		{element{228, 2, "postNAPTDestinationTransportPort"}, postDstPort},
	}
}
