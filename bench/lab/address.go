package lab

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// The addresses of the lab, and the networks that they are in.
const (
	ClientIPv4    = "192.168.77.10"
	ClientIPv6    = "2001:db8:77::10"
	RouterLANIPv4 = "192.168.77.1"
	RouterLANIPv6 = "2001:db8:77::1"
	RouterWANIPv4 = "198.51.100.1"
	RouterWANIPv6 = "2001:db8:100::1"
	ServerIPv4    = "198.51.100.20"
	ServerIPv6    = "2001:db8:100::20"

	// With Options.Guest.
	GuestIPv4       = "192.168.78.10"
	GuestIPv6       = "2001:db8:78::10"
	RouterGuestIPv4 = "192.168.78.1"
	RouterGuestIPv6 = "2001:db8:78::1"

	LANIPv4      = "192.168.77.0/24"
	LANIPv6      = "2001:db8:77::/64"
	GuestLANIPv6 = "2001:db8:78::/64"
	WANIPv4      = "198.51.100.0/24"
	WANIPv6      = "2001:db8:100::/64"
)

// The ports that are served.
const (
	PortTCP     = 443  // by the server and by the client
	PortForward = 8443 // by the router, which passes it to the client's 443
	PortAnswer  = 53   // UDP: each datagram comes back as it was
	PortSilent  = 9    // UDP: bound, so that no ICMP error comes back either
)

// addresses are a node's, one of each family.
type addresses struct{ v4, v6 netip.Addr }

func clientAddresses() addresses   { return parseAddresses(ClientIPv4, ClientIPv6) }
func serverAddresses() addresses   { return parseAddresses(ServerIPv4, ServerIPv6) }
func guestAddresses() addresses    { return parseAddresses(GuestIPv4, GuestIPv6) }
func lanAddresses() addresses      { return parseAddresses(RouterLANIPv4, RouterLANIPv6) }
func guestLANAddresses() addresses { return parseAddresses(RouterGuestIPv4, RouterGuestIPv6) }
func wanAddresses() addresses      { return parseAddresses(RouterWANIPv4, RouterWANIPv6) }

func parseAddresses(v4, v6 string) addresses {
	return addresses{netip.MustParseAddr(v4), netip.MustParseAddr(v6)}
}

// of returns the address of a family, AF_INET or AF_INET6.
func (a addresses) of(family uint8) (netip.Addr, error) {
	switch family {
	case unix.AF_INET:
		return a.v4, nil
	case unix.AF_INET6:
		return a.v6, nil
	}
	return netip.Addr{},
		fmt.Errorf("lab: address family %d is neither AF_INET nor AF_INET6", family)
}

func (a addresses) both() [2]netip.Addr { return [...]netip.Addr{a.v4, a.v6} }
