package host

import (
	"fmt"
	"net"
)

// MAC is an Ethernet address; the zero MAC is none.
type MAC [6]byte

// ParseMAC reads six octets in hexadecimal, separated by colons or hyphens.
func ParseMAC(s string) (mac MAC, err error) {
	b, err := net.ParseMAC(s)
	if err != nil || len(b) != len(mac) {
		return mac, fmt.Errorf("%q is not an Ethernet address, such as 02:00:00:00:00:01", s)
	}
	return MAC(b), nil
}

// String returns the address in lower case with colons.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IsLocal reports whether the address is locally administered (IEEE 802, the second bit
// of the first octet): not a manufacturer's, as those that phones invent.
func (m MAC) IsLocal() bool { return m[0]&2 != 0 }
