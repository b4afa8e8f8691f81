package host

import (
	"net"

	"github.com/conntally/conntally/flow/host/lease"
)

// MAC is an Ethernet address; the zero MAC is none.
type MAC [6]byte

// ParseMAC reads six octets in hexadecimal, separated by colons or hyphens.
func ParseMAC(s string) (MAC, error) {
	mac, err := lease.ParseMAC(s)
	return MAC(mac), err
}

// String returns the address in lower case with colons.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IsLocal reports whether the address is locally administered (IEEE 802, the second bit
// of the first octet): not a manufacturer's, as those that phones invent.
func (m MAC) IsLocal() bool { return m[0]&2 != 0 }
