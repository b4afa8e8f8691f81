package route

import (
	"cmp"
	"encoding/binary"
	"math/bits"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// mappedBits is how long the prefix of all IPv4-mapped addresses is.
const mappedBits = 96

// everything is a family's network of all addresses cut to bits.
func everything(family, bits uint8) prefix {
	if family == unix.AF_INET6 {
		return prefix{bits: min(bits, 128)}
	}
	return prefix{conntrack.Addr{10: 0xff, 11: 0xff}, min(bits, 32) + mappedBits}
}

func isMapped(a *conntrack.Addr) bool {
	return binary.BigEndian.Uint64(a[:8]) == 0 && binary.BigEndian.Uint32(a[8:]) == 0xffff
}

// number is an address as two integers.
type number struct{ high, low uint64 }

func numberOf(a *conntrack.Addr) number {
	return number{binary.BigEndian.Uint64(a[:8]), binary.BigEndian.Uint64(a[8:])}
}

// isMapped reports whether n is IPv4, and mapped returns one that is.
func (n number) isMapped() bool { return n.high == 0 && n.low>>32 == 0xffff }

// addr is the opposite of numberOf.
func (n number) addr() (a conntrack.Addr) {
	binary.BigEndian.PutUint64(a[:8], n.high)
	binary.BigEndian.PutUint64(a[8:], n.low)
	return a
}

func mapped(v4 uint32) number { return number{low: 0xffff<<32 | uint64(v4)} }

func (n number) compare(o number) int {
	if n.high != o.high {
		return cmp.Compare(n.high, o.high)
	}
	return cmp.Compare(n.low, o.low)
}

// upTo returns how many of numbers in order are n or less. It halves without
// branches, which no processor could predict.
func upTo(sorted []number, n number) int {
	if len(sorted) == 0 {
		return 0
	}
	at := 0
	for length := len(sorted); length > 1; {
		half := length >> 1
		at += half & n.reaches(&sorted[at+half-1])
		length -= half
	}
	return at - n.reaches(&sorted[at])
}

// reaches returns -1 where n is o or more, else 0.
func (n number) reaches(o *number) int {
	_, borrow := bits.Sub64(n.low, o.low, 0)
	_, borrow = bits.Sub64(n.high, o.high, borrow)
	return int(borrow) - 1
}

// masks of the first bits of an address.
func mask(bits uint8) number {
	if bits <= 64 {
		return number{high: ^uint64(0) << (64 - bits)}
	}
	return number{^uint64(0), ^uint64(0) << (128 - bits)}
}

func (n number) and(m number) number { return number{n.high & m.high, n.low & m.low} }

// network is a prefix to compare with.
type network struct{ first, mask number }

func (p *prefix) network() network {
	m := mask(p.bits)
	return network{numberOf(&p.addr).and(m), m}
}

// has reports whether an address is in the network.
func (w *network) has(n number) bool { return n.and(w.mask) == w.first }

// narrow reports whether there are addresses of its family that the network has not.
func (p *prefix) narrow() bool {
	return p.bits > mappedBits || p.bits > 0 && !isMapped(&p.addr)
}

// last returns the last address of a network.
func (p *prefix) last() number {
	w := p.network()
	return number{w.first.high | ^w.mask.high, w.first.low | ^w.mask.low}
}

// edges returns the first address of a network and the first one behind it, which
// wraps at the end of all addresses.
func (p *prefix) edges() (first, behind number) {
	first, behind = p.network().first, p.last()
	behind.low++
	if behind.low == 0 {
		behind.high++
	}
	return first, behind
}
