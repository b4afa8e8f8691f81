package decode

import (
	"net/netip"
	"strings"
)

// IANA's information elements (RFC 7012); v9 field types have the same numbers.
const (
	octetDeltaCount                  = 1
	packetDeltaCount                 = 2
	protocolIdentifier               = 4
	ipClassOfService                 = 5
	tcpControlBits                   = 6
	sourceTransportPort              = 7
	sourceIPv4Address                = 8
	ingressInterface                 = 10
	destinationTransportPort         = 11
	destinationIPv4Address           = 12
	egressInterface                  = 14
	flowEndSysUpTime                 = 21
	flowStartSysUpTime               = 22
	sourceIPv6Address                = 27
	destinationIPv6Address           = 28
	icmpTypeCodeIPv4                 = 32
	samplingInterval                 = 34
	sourceMacAddress                 = 56
	postDestinationMacAddress        = 57
	vlanID                           = 58
	postVlanID                       = 59
	flowDirection                    = 61
	interfaceName                    = 82
	interfaceDescription             = 83
	octetTotalCount                  = 85
	packetTotalCount                 = 86
	flowEndReason                    = 136
	icmpTypeCodeIPv6                 = 139
	flowID                           = 148
	flowStartSeconds                 = 150
	flowEndSeconds                   = 151
	flowStartMilliseconds            = 152
	flowEndMilliseconds              = 153
	flowStartMicroseconds            = 154
	flowEndMicroseconds              = 155
	flowStartNanoseconds             = 156
	flowEndNanoseconds               = 157
	systemInitTimeMilliseconds       = 160
	postNATSourceIPv4Address         = 225
	postNATDestinationIPv4Address    = 226
	postNAPTSourceTransportPort      = 227
	postNAPTDestinationTransportPort = 228
	natEvent                         = 230
	ingressVRFID                     = 234
	egressVRFID                      = 235
	biflowDirection                  = 239
	postNATSourceIPv6Address         = 281
	postNATDestinationIPv6Address    = 282
	observationTimeMilliseconds      = 323
)

// pmacct's element for a number that a record is marked with.
const (
	pmacctPEN = 43874
	pmacctTag = 1
)

// elements is a data record seen through its template.
type elements struct {
	fields     []field
	values     record
	enterprise uint32 // whose elements are meant: 0 = IANA's
}

// value returns the first occurrence of an element, or nil.
func (e elements) value(id uint16) []byte {
	for i, f := range e.fields {
		if f.id == id && f.enterprise == e.enterprise {
			return e.values[i]
		}
	}
	return nil
}

// number reads the first of the elements that is there as an unsigned integer of 1 to 8 bytes (RFC
// 7011, 6.2).
func (e elements) number(ids ...uint16) (n uint64, ok bool) {
	for _, id := range ids {
		b := e.value(id)
		if len(b) == 0 || len(b) > 8 {
			continue
		}
		for _, digit := range b {
			n = n<<8 | uint64(digit)
		}
		return n, true
	}
	return 0, false
}

// uint is number with 0 for an element that is not there.
func (e elements) uint(ids ...uint16) uint64 {
	n, _ := e.number(ids...)
	return n
}

// address reads the first of the elements that holds an address other than 0.0.0.0 or ::, or else
// the first that is there: some templates carry both families.
func (e elements) address(ids ...uint16) (found netip.Addr) {
	for _, id := range ids {
		a, ok := netip.AddrFromSlice(e.value(id))
		switch {
		case !ok:
		case !a.IsUnspecified():
			return a
		case !found.IsValid():
			found = a
		}
	}
	return found
}

// translated is address with the zero Addr for 0.0.0.0 and ::, by which some exporters say that
// nothing was translated.
func (e elements) translated(ids ...uint16) netip.Addr {
	if a := e.address(ids...); !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

// text reads a string of fixed length, which ends at its first NUL.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.ToValidUTF8(s, "?")
}
