package noise

import (
	"net/netip"

	"github.com/conntally/conntally/bench/lab"
)

// population is how many hosts the LAN has beside the client. They are addresses in
// frames: what is sent to them is lost.
const population = 20

// Addresses that hosts speak to.
var (
	nobody       = netip.MustParseAddr("0.0.0.0")
	everybody    = netip.MustParseAddr("255.255.255.255")
	lanBroadcast = netip.MustParseAddr("192.168.77.255")
	wanBroadcast = netip.MustParseAddr("198.51.100.255")

	allHosts   = netip.MustParseAddr("224.0.0.1")
	mdns       = netip.MustParseAddrPort("224.0.0.251:5353")
	mdns6      = netip.MustParseAddrPort("[ff02::fb]:5353")
	llmnr      = netip.MustParseAddrPort("224.0.0.252:5355")
	llmnr6     = netip.MustParseAddrPort("[ff02::1:3]:5355")
	ssdp       = netip.MustParseAddrPort("239.255.255.250:1900")
	ssdp6      = netip.MustParseAddrPort("[ff02::c]:1900")
	reports6   = netip.MustParseAddr("ff02::16")
	allNodes6  = netip.MustParseAddr("ff02::1")
	routerLAN  = netip.MustParseAddr(lab.RouterLANIPv4)
	routerLAN6 = netip.MustParseAddr(lab.RouterLANIPv6)
	routerWAN  = netip.MustParseAddr(lab.RouterWANIPv4)
	clientIPv4 = netip.MustParseAddr(lab.ClientIPv4)
	serverIPv4 = netip.MustParseAddr(lab.ServerIPv4)
	serverIPv6 = netip.MustParseAddr(lab.ServerIPv6)
)

// host is one on the LAN.
type host struct {
	mac       mac
	ipv4      netip.Addr
	linkLocal netip.Addr
	privacy   netip.Addr // its present IPv6 address
}

func newHost(i int) host {
	ipv4 := netip.AddrFrom4([4]byte{192, 168, 77, byte(100 + i)})
	return host{mac: mac{0x02, 0, 0, 0, 0, byte(i)}, ipv4: ipv4}.withAddress(uint64(i))
}

// withAddress returns the host with another IPv6 address.
func (h host) withAddress(random uint64) host {
	local := netip.MustParseAddr("fe80::").As16()
	global := netip.MustParsePrefix(lab.LANIPv6).Addr().As16()
	copy(local[10:], h.mac[:])
	copy(global[8:], h.mac[:])
	global[8] |= 0x40 // none of the lab's own
	global[14], global[15] = byte(random>>8), byte(random)
	h.linkLocal, h.privacy = netip.AddrFrom16(local), netip.AddrFrom16(global)
	return h
}

// withMAC returns the host after it came back as another device with its IPv4 address.
func (h host) withMAC(random uint64) host {
	h.mac[1], h.mac[2], h.mac[3] = byte(random), byte(random>>8), byte(random>>16)
	return h.withAddress(random)
}

// at returns a host's address with a port.
func at(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }
