package traffic

import (
	"encoding/binary"
	"net/netip"
)

// Flow i is from client i%clients and port firstPort+i%ports to remote i%remotes of
// block i/ports. No two flows share port and remote, so that the router's source
// translation, which has a single address, keeps every port.
const (
	clients   = 50
	remotes   = 250
	firstPort = 1024
	ports     = 64_000
	blocks    = 256

	firstClient = 10<<24 | 77<<16 | 10 // 10.77.0.10
	firstRemote = 198<<24 | 18<<16 | 1 // 198.18.0.1
	blockSize   = 1 << 8               // addresses
)

// MaxFlows is how many flows have a number.
const MaxFlows = blocks * ports

// ClientNetwork holds the flows' ends in the LAN.
func ClientNetwork() netip.Prefix { return netip.MustParsePrefix("10.77.0.0/16") }

// RemoteNetwork holds the others, in the network for benchmarks (RFC 2544).
func RemoteNetwork() netip.Prefix { return netip.MustParsePrefix("198.18.0.0/16") }

// Client returns the end of a flow in the LAN, before any translation.
func Client(flow int) netip.AddrPort {
	return netip.AddrPortFrom(address(client(flow)),
		port(flow))
}

// Remote returns the address of a flow's other end.
func Remote(flow int) netip.Addr { return address(remote(flow)) }

// Number is the inverse of Client and Remote. It fails for ends that no flow has.
func Number(client netip.AddrPort, remote netip.Addr) (flow int, ok bool) {
	if !remote.Is4() || client.Port() < firstPort || client.Port() >= firstPort+ports {
		return 0, false
	}
	flow = int(remote.As4()[2])*ports + int(client.Port()) - firstPort
	return flow, Client(flow) == client && Remote(flow) == remote
}

func word(addr netip.Addr) uint32 {
	b := addr.As4()
	return binary.BigEndian.Uint32(b[:])
}

func client(flow int) uint32 { return firstClient + uint32(flow%clients) }
func remote(flow int) uint32 { return firstRemote + uint32(flow/ports*blockSize+flow%remotes) }
func port(flow int) uint16   { return uint16(firstPort + flow%ports) }

func address(word uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, word)))
}
