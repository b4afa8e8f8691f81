// Package lease reads the files in which DHCP servers keep their leases.
//
//	dnsmasq, Kea, ISC dhcpd, odhcpd, systemd-networkd -> Parse -> []Lease
//
// A file is recognized by its content. What clients wrote into it is hostile: names come
// out clean, and lengths and numbers are bounded.
package lease

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"

	"github.com/conntally/conntally/flow/host/hostname"
)

const (
	// Most is how many leases Parse returns at most.
	Most = 1 << 16
	// Forever is when leases end that never do.
	Forever = math.MaxInt64
	// longestLine bounds a line, in bytes.
	longestLine = 4096
)

// ErrIncomplete means that a file ends in the middle of an entry: it is being written.
var ErrIncomplete = errors.New("it ends in the middle of a lease")

// Lease is one address that a server has lent.
type Lease struct {
	Addr  netip.Addr // IPv4 or IPv6, without a zone
	MAC   [6]byte    // zero where the file has none, as for most of IPv6
	Name  string     // clean, as of hostname.Clean; "": none
	Until int64      // its end, in Unix seconds, or Forever; 0: it is over
}

// Parse returns the leases of one server, from its files in the order in which they were
// written; most have one. Each address occurs once: the last lease of it counts. With an error
// it returns the leases that could be read. The error is ErrIncomplete if nothing else is
// wrong.
func Parse(files ...[]byte) ([]Lease, error) {
	c := newCollector()
	for _, b := range files {
		c.parse(b)
	}
	return c.leases, c.problem()
}

// IsKea reports whether a file is of Kea, which spreads its leases over several.
func IsKea(b []byte) bool { return bytes.HasPrefix(b, []byte(keaHeader)) }

// collector gathers leases by address.
type collector struct {
	leases     []Lease
	byAddr     map[netip.Addr]int
	err        error // the first that makes a whole file useless
	incomplete bool
	entries    int // lines, blocks or objects
	malformed  int // entries that are no leases, of which the first begins in line first
	first      int
	full       bool // there are more than Most
}

func newCollector() *collector { return &collector{byAddr: map[netip.Addr]int{}} }

func (c *collector) parse(b []byte) {
	parse, err := recognize(b)
	if err == nil && parse != nil {
		err = parse(b, c)
	}
	switch {
	case errors.Is(err, ErrIncomplete):
		c.incomplete = true
	case c.err == nil:
		c.err = err
	}
}

// add adds a lease, whose name is still as the client sent it.
func (c *collector) add(l Lease) {
	l.Addr, l.Name = l.Addr.Unmap().WithZone(""), hostname.Clean(l.Name)
	i, known := c.byAddr[l.Addr]
	switch {
	case known && l.Until == 0 && l.Name == "":
		c.leases[i].Until = 0 // servers drop the name before the lease
	case known:
		c.leases[i] = l
	case len(c.leases) == Most:
		c.full = true
	default:
		c.byAddr[l.Addr] = len(c.leases)
		c.leases = append(c.leases, l)
	}
}

// skip counts an entry that is no lease.
func (c *collector) skip(line int) {
	if c.malformed == 0 {
		c.first = line
	}
	c.malformed++
}

func (c *collector) problem() error {
	switch {
	case c.err != nil:
		return c.err
	case c.malformed > 0:
		return fmt.Errorf("%d of %d entries are no leases; the first is in line %d",
			c.malformed, c.entries, c.first)
	case c.full:
		return fmt.Errorf("it holds more than %d leases", Most)
	case c.incomplete:
		return ErrIncomplete
	}
	return nil
}

// lines calls fn with each whole line that isn't empty, and its number, from 1. Those that are
// too long are skipped.
func (c *collector) lines(b []byte, fn func(number int, line []byte)) error {
	for number := 1; len(b) > 0; number++ {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if !whole {
			return ErrIncomplete
		}
		b = rest
		line = bytes.TrimRight(line, "\r")
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		c.entries++
		if len(line) > longestLine {
			c.skip(number)
			continue
		}
		fn(number, line)
	}
	return nil
}

// ParseMAC parses six hexadecimal numbers with colons or hyphens between them.
func ParseMAC(s string) (mac [6]byte, err error) {
	rest := s
	for i := range mac {
		end := 0
		for end < len(rest) && rest[end] != ':' && rest[end] != '-' {
			end++
		}
		n, err := strconv.ParseUint(rest[:end], 16, 8)
		last := end == len(rest)
		if err != nil || end > 2 || last != (i == len(mac)-1) {
			return [6]byte{}, fmt.Errorf(
				"%.40q is not an Ethernet address, such as 02:00:00:00:00:01", s)
		}
		mac[i] = byte(n)
		if !last {
			rest = rest[end+1:]
		}
	}
	return mac, nil
}

// parseAddr parses the address of a single host. Other addresses are errors.
func parseAddr(b []byte) (netip.Addr, bool) {
	if len(b) > 64 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(b))
	return a, err == nil && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback()
}

// seconds returns a time in Unix seconds. Negative ones are never.
func seconds(b []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(b), 10, 64)
	if n < 0 {
		n = Forever
	}
	return n, err == nil
}
