package lease

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

const (
	// keaHeader begins each file; which columns follow depends on Kea's version.
	keaHeader = "address,"
	// keaForever is the valid_lifetime of a lease without end.
	keaForever = "4294967295"
)

// keaColumns are places of columns; -1: there is none.
type keaColumns struct {
	address, hwaddr, lifetime, expire, hostname, state, leaseType int
}

// kea reads the CSV files of Kea's memfile, of DHCPv4 and DHCPv6:
//
//	address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,...
//	192.0.2.10,02:00:00:00:00:01,,3600,1790000000,1,0,0,laptop,0,...
func kea(b []byte, c *collector) error {
	columns, err := keaHeaderOf(b)
	if err != nil {
		return err
	}
	return c.lines(b, func(number int, line []byte) {
		f := strings.Split(string(line), ",")
		if f[0] == "address" { // the header
			return
		}
		if !columns.add(f, c) {
			c.skip(number)
		}
	})
}

func keaHeaderOf(b []byte) (k keaColumns, err error) {
	line, _, whole := bytes.Cut(b, []byte("\n"))
	if !whole || len(line) > longestLine {
		return k, ErrIncomplete
	}
	k = keaColumns{-1, -1, -1, -1, -1, -1, -1}
	for i, name := range strings.Split(strings.TrimRight(string(line), "\r"), ",") {
		switch name {
		case "address":
			k.address = i
		case "hwaddr":
			k.hwaddr = i
		case "valid_lifetime":
			k.lifetime = i
		case "expire":
			k.expire = i
		case "hostname":
			k.hostname = i
		case "state":
			k.state = i
		case "lease_type":
			k.leaseType = i
		}
	}
	if k.hostname < 0 || k.expire < 0 {
		return k, errors.New("its first line names no columns hostname and expire")
	}
	return k, nil
}

// add adds the lease of a row. It reports whether the row is well-formed.
func (k *keaColumns) add(f []string, c *collector) bool {
	get := func(column int) string {
		if column < 0 || column >= len(f) {
			return ""
		}
		return f[column]
	}
	addr, ok := parseAddr([]byte(get(k.address)))
	until, isTime := seconds([]byte(get(k.expire)))
	if !ok || !isTime {
		return false
	}
	if get(k.leaseType) == "2" { // a prefix, of a router behind this one
		return true
	}
	l := Lease{Addr: addr, Name: keaUnescape(get(k.hostname)), Until: until}
	l.MAC, _ = ParseMAC(get(k.hwaddr)) // there may be none
	if get(k.lifetime) == keaForever {
		l.Until = Forever
	}
	switch get(k.state) {
	case "", "0", "4": // 4: an address that the client chose and registered
	default: // declined, reclaimed, released
		l.Until = 0
	}
	if get(k.lifetime) == "0" { // deleted
		l.Until = 0
	}
	c.add(l)
	return true
}

// keaUnescape decodes what stands for characters that mean something in the file: &#x2c
// is a comma. There is no semicolon at its end.
func keaUnescape(s string) string {
	const escape, size = "&#x", len("&#x2c")
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, escape)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8)
		if err != nil || len(rest) < 2 {
			b.WriteString(escape)
			s = rest
			continue
		}
		b.WriteByte(byte(n))
		s = rest[size-len(escape):]
	}
}
