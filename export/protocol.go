package export

import "fmt"

// Protocol is a protocol by the version number in its message header.
type Protocol uint16

// The protocols.
const (
	NetFlow9 Protocol = 9
	IPFIX    Protocol = 10
)

// ParseProtocol reads "ipfix" or "netflow9".
func ParseProtocol(s string) (Protocol, error) {
	switch s {
	case "ipfix":
		return IPFIX, nil
	case "netflow9":
		return NetFlow9, nil
	}
	return 0, fmt.Errorf("%q is not a protocol: ipfix or netflow9", s)
}

// String returns what ParseProtocol reads.
func (p Protocol) String() string {
	if p == NetFlow9 {
		return "netflow9"
	}
	return "ipfix"
}

// templateSetID returns the id of sets of templates.
func (p Protocol) templateSetID() uint16 {
	if p == NetFlow9 {
		return 0
	}
	return 2
}

// optionsTemplateSetID returns the id of sets of options templates.
func (p Protocol) optionsTemplateSetID() uint16 {
	if p == NetFlow9 {
		return 1
	}
	return 3
}

// headerLen is the length of a message header: RFC 3954 section 5.1, RFC 7011
// section 3.1.
func (p Protocol) headerLen() int {
	if p == NetFlow9 {
		return 20
	}
	return 16
}
