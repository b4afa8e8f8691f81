package traffic

import (
	"net/netip"
	"testing"
)

// TestNumber proves that the number of a flow follows from its addresses and ports.
func TestNumber(t *testing.T) {
	type outside struct {
		port   uint16
		remote netip.Addr
	}
	seen := map[outside]int{}
	for _, from := range []int{0, ports - 500, 3*ports - 500, MaxFlows - 1000} {
		for i := from; i < from+1000; i++ {
			c, r := Client(i), Remote(i)
			if !ClientNetwork().Contains(c.Addr()) || !RemoteNetwork().Contains(r) {
				t.Fatalf("flow %d: %v, %v lie outside of their networks", i, c, r)
			}
			if j, ok := seen[outside{c.Port(), r}]; ok {
				t.Fatalf("flows %d and %d would share a translation", i, j)
			}
			seen[outside{c.Port(), r}] = i
			if n, ok := Number(c, r); !ok || n != i {
				t.Fatalf("flow %d: number %d, %v", i, n, ok)
			}
		}
	}
}

func TestNumberRefuses(t *testing.T) {
	c, r := Client(7), Remote(7)
	for name, ends := range map[string]struct {
		client netip.AddrPort
		remote netip.Addr
	}{
		"another's remote": {c, Remote(8)},
		"another's client": {Client(8), r},
		"a low port":       {netip.AddrPortFrom(c.Addr(), 443), r},
		"a high port":      {netip.AddrPortFrom(c.Addr(), firstPort+ports), r},
		"the router":       {netip.MustParseAddrPort("198.51.100.1:1031"), r},
		"IPv6":             {c, netip.MustParseAddr("2001:db8::1")},
		"nothing":          {},
	} {
		if n, ok := Number(ends.client, ends.remote); ok {
			t.Errorf("%s: flow %d", name, n)
		}
	}
}
