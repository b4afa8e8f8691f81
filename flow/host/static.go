package host

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/conntally/conntally/flow/host/hostname"
)

const (
	// mostStatic is how many names of /etc/hosts and of /etc/ethers are kept each.
	mostStatic = 1 << 16
	// longestLine bounds a line of theirs, in bytes; what follows is ignored.
	longestLine = 4096
)

// parseHosts returns the names of /etc/hosts by address. An address that occurs twice has
// its first name, as in the system's resolver.
func parseHosts(b []byte) (map[netip.Addr]string, error) {
	names := map[netip.Addr]string{}
	malformed := eachEntry(b, func(f [][]byte) bool {
		addr, err := netip.ParseAddr(string(f[0]))
		if err != nil || len(f) < 2 {
			return false
		}
		// Lists of blocked domains have thousands of these.
		if addr.IsUnspecified() || addr.IsLoopback() || addr.IsMulticast() {
			return true
		}
		addr = addr.Unmap().WithZone("")
		if _, known := names[addr]; !known && len(names) < mostStatic {
			names[addr] = hostname.Clean(string(f[1]))
		}
		return true
	})
	return names, malformed.err("begins with no address and a name")
}

// ether is what /etc/ethers says of an Ethernet address: a name or an address.
type ether struct {
	name string
	addr netip.Addr
}

// parseEthers returns the content of /etc/ethers.
func parseEthers(b []byte) (map[MAC]ether, error) {
	names := map[MAC]ether{}
	malformed := eachEntry(b, func(f [][]byte) bool {
		mac, err := ParseMAC(string(f[0]))
		if err != nil || len(f) < 2 {
			return false
		}
		if _, known := names[mac]; known || len(names) == mostStatic {
			return true
		}
		var e ether
		if e.addr, err = netip.ParseAddr(string(f[1])); err == nil {
			e.addr = e.addr.Unmap().WithZone("")
		} else {
			e.name = hostname.Clean(string(f[1]))
		}
		names[mac] = e
		return true
	})
	return names, malformed.err("begins with no Ethernet address and a name")
}

// malformed counts lines that can't be parsed, and keeps the number of the first.
type malformed struct{ count, first int }

func (m malformed) err(what string) error {
	if m.count == 0 {
		return nil
	}
	return fmt.Errorf("line %d %s; there are %d of that kind", m.first, what, m.count)
}

// eachEntry calls fn with the words of each line that has any, without comments.
func eachEntry(b []byte, fn func(words [][]byte) (ok bool)) (bad malformed) {
	for number := 1; len(b) > 0; number++ {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		line, _, _ = bytes.Cut(line[:min(len(line), longestLine)], []byte("#"))
		words := bytes.Fields(line)
		if len(words) == 0 || fn(words) {
			continue
		}
		if bad.count == 0 {
			bad.first = number
		}
		bad.count++
	}
	return bad
}
