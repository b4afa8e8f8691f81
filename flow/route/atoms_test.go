package route

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/conntally/conntally/conntrack"
)

func parsePrefix(s string) prefix {
	p := netip.MustParsePrefix(s)
	bits := uint8(p.Bits())
	if p.Addr().Is4() {
		bits += mappedBits
	}
	return prefix{conntrack.AddrFrom(p.Addr()), bits}
}

// TestAtomsDontCrossNetworks: two addresses are in one atom only if they are in the same networks.
func TestAtomsDontCrossNetworks(t *testing.T) {
	networks := []string{
		"0.0.0.0/0", "::/0", "192.168.77.0/24", "192.168.77.1/32", "192.168.77.255/32",
		"10.0.0.0/8", "255.255.255.255/32",
		"224.0.0.0/4", "128.0.0.0/1", "0.0.0.0/1", "2001:db8::/32", "2001:db8:77::/64",
		"2001:db8:77::1/128", "fe80::/64", "ff00::/8",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "::1/128", "2000::/3", "::ffff:0:0/96",
	}
	var a atoms
	var all []prefix
	for _, s := range networks {
		p := parsePrefix(s)
		all = append(all, p)
		a.add(&p)
	}
	a.merge()
	if !slices.IsSortedFunc(a.edges, number.compare) {
		t.Fatal("edges are not in order")
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	var addresses []number
	for _, p := range all {
		first, behind := p.edges()
		addresses = append(addresses, first, behind, number{first.high, first.low - 1},
			number{behind.high, behind.low - 1}, number{first.high, first.low + 1})
		addresses = append(addresses, number{rnd.Uint64(), rnd.Uint64()},
			number{0, 0xffff<<32 | uint64(rnd.Uint32())})
	}
	for _, x := range addresses {
		for _, y := range addresses {
			if a.of(x) != a.of(y) {
				continue
			}
			for i := range all {
				if w := all[i].network(); w.has(x) != w.has(y) {
					t.Errorf("%x and %x are in one atom, and one of them in %s", x, y, networks[i])
				}
			}
		}
	}
	if n := len(a.edges); n > 2*len(networks) {
		t.Errorf("%d edges of %d networks", n, len(networks))
	}
}

func TestUpTo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for n := range 70 {
		sorted := make([]number, n)
		for i := range sorted {
			sorted[i] = number{rnd.Uint64N(3), rnd.Uint64N(100)}
		}
		slices.SortFunc(sorted, number.compare)
		for range 300 {
			x := number{rnd.Uint64N(4), rnd.Uint64N(110)}
			want := 0
			for want < n && sorted[want].compare(x) <= 0 {
				want++
			}
			if got := upTo(sorted, x); got != want {
				t.Fatalf("%d of %v up to %v, want %d", got, sorted, x, want)
			}
		}
	}
}

// TestTooManyRoutesStayBounded: each address is then an atom of its own, and nothing grows any
// more.
func TestTooManyRoutesStayBounded(t *testing.T) {
	var a atoms
	for i := range uint32(2 * mostEdges) {
		p := prefix{conntrack.Addr{10: 0xff, 11: 0xff, 12: byte(i >> 16), 13: byte(i >> 8),
			14: byte(i)}, 120}
		a.add(&p)
	}
	a.merge()
	if !a.fine || len(a.edges) != 0 {
		t.Errorf("fine %t, %d edges", a.fine, len(a.edges))
	}
	if n := (number{1, 2}); a.of(n) != n {
		t.Error("an address isn't by itself")
	}
}

func TestNarrow(t *testing.T) {
	for s, want := range map[string]bool{"0.0.0.0/0": false, "::/0": false, "0.0.0.0/1": true,
		"::/1": true, "10.0.0.1/32": true, "::1/128": true} {
		if p := parsePrefix(s); p.narrow() != want {
			t.Errorf("%s: %t", s, p.narrow())
		}
	}
}
