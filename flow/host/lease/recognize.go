package lease

import (
	"bytes"
	"errors"
)

var errUnknown = errors.New("it is of no DHCP server that is known here")

// parser hands the leases of a file to a collector.
type parser func(b []byte, c *collector) error

// recognize returns the parser of a file, or nil if the file holds nothing. The first line
// that only one kind of file can have decides.
func recognize(b []byte) (parser, error) {
	if bytes.HasPrefix(b, []byte("{")) {
		return networkd, nil
	}
	whole, blank := true, true
	for range 1000 {
		if len(b) == 0 {
			break
		}
		var line []byte
		line, b, whole = bytes.Cut(b, []byte("\n"))
		if p := kind(line); p != nil {
			return p, nil
		}
		line = bytes.TrimSpace(line)
		blank = blank && (len(line) == 0 || line[0] == '#')
	}
	switch {
	case !blank && !whole:
		return nil, ErrIncomplete
	case !blank:
		return nil, errUnknown
	}
	return nil, nil
}

// kind returns the parser of the kind of file that a line belongs to, or nil.
func kind(line []byte) parser {
	if IsKea(line) {
		return kea
	}
	if len(line) > longestLine {
		return nil
	}
	f := bytes.Fields(line)
	if len(f) == 0 {
		return nil
	}
	switch string(f[0]) {
	case "duid":
		return dnsmasq
	case "authoring-byte-order", "failover", "host", "lease", "server-duid", "ia-na", "ia-pd",
		"ia-ta":
		return dhcpd
	}
	if _, ok := parseOdhcpd(f); ok {
		return odhcpd
	}
	if _, ok := parseAddr(f[0]); ok && len(f) > 1 {
		return odhcpd
	}
	if _, ok := parseDNSMasq(f); ok {
		return dnsmasq
	}
	return nil
}
