package lease

import (
	"bytes"
	"encoding/hex"
	"strings"
)

// odhcpdBroken precedes names that odhcpd itself doesn't trust.
const odhcpdBroken = `broken\x20`

// odhcpd reads both of its files: leases, and names as in /etc/hosts.
//
//	# br-lan 020000000001 ipv4 laptop 1790000000 c000020a 32 192.0.2.10/32
//	# br-lan 2:0:0:0:0:1 ipv4 laptop 1790000000 c000020a 32 192.0.2.10/32
//	# br-lan 00010001... 1 laptop 1790000000 10 128 2001:db8::10/128
//	192.0.2.10	laptop.lan	laptop
func odhcpd(b []byte, c *collector) error {
	return c.lines(b, func(number int, line []byte) {
		f := bytes.Fields(line)
		if l, ok := parseOdhcpd(f); ok {
			addOdhcpd(l, f[8:], c)
			return
		}
		addr, ok := parseAddr(f[0])
		switch {
		case ok && len(f) > 1:
			c.add(Lease{Addr: addr, Name: string(f[1]), Until: Forever})
		case f[0][0] != '#':
			c.skip(number)
		}
	})
}

// parseOdhcpd returns all of a lease but its addresses.
func parseOdhcpd(f [][]byte) (l Lease, ok bool) {
	if len(f) < 8 || string(f[0]) != "#" {
		return l, false
	}
	id, err := hex.DecodeString(string(f[2])) // a MAC, or a DUID
	if string(f[3]) == "ipv4" && err != nil {
		l.MAC, err = ParseMAC(string(f[2])) // since November 2025
	} else if string(f[3]) == "ipv4" && len(id) == len(l.MAC) {
		l.MAC = [6]byte(id)
	}
	until, isTime := seconds(f[5])
	if err != nil || !isTime {
		return l, false
	}
	l.Until = until
	if name := string(f[4]); name != "-" && !strings.HasPrefix(name, odhcpdBroken) {
		l.Name = name
	}
	return l, true
}

// addOdhcpd adds a lease of each address. Prefixes are those of routers behind this one.
func addOdhcpd(l Lease, addrs [][]byte, c *collector) {
	for _, a := range addrs {
		host, length, _ := bytes.Cut(a, []byte("/"))
		addr, ok := parseAddr(host)
		if ok && (addr.Is4() || string(length) == "128") {
			l.Addr = addr
			c.add(l)
		}
	}
}
