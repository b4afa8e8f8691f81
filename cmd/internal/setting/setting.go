// Package setting has the types of values that the configuration files of both programs have.
// UnmarshalText's error says what is allowed; its caller adds the key and the value.
package setting

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"go.uber.org/zap/zapcore"
)

// MAC is an Ethernet address.
type MAC [6]byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(b []byte) error {
	mac, err := net.ParseMAC(string(b))
	if err != nil || len(mac) != len(m) || MAC(mac) == (MAC{}) || strings.Contains(string(b), ".") {
		return errors.New(`want an Ethernet address, such as "02:00:00:00:00:01"`)
	}
	*m = MAC(mac)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// String returns the address in lower case with colons.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// IP is an address of a device.
type IP struct{ netip.Addr }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *IP) UnmarshalText(b []byte) error {
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast() {
		return errors.New(`want an address, such as "192.0.2.10" or "2001:db8::10"`)
	}
	i.Addr = a.Unmap()
	return nil
}

// Network is a set of addresses, possibly of a single one.
type Network struct{ netip.Prefix }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Network) UnmarshalText(b []byte) error {
	text := string(b)
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" && !a.Is4In6() {
		n.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return errors.New(`want a network, such as "192.0.2.0/24" or "2001:db8::/32"`)
	case p != p.Masked():
		return errors.New("want a network: did you mean " + p.Masked().String() + "?")
	}
	n.Prefix = p
	return nil
}

// Prefixes returns networks as prefixes.
func Prefixes(list []Network) (all []netip.Prefix) {
	for _, n := range list {
		all = append(all, n.Prefix)
	}
	return all
}

// Listen is an address to serve at; "" is none.
type Listen string

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Listen) UnmarshalText(b []byte) error {
	host, port, err := net.SplitHostPort(string(b))
	_, number := strconv.ParseUint(port, 10, 16)
	if len(b) > 0 && (err != nil || number != nil || !IsHost(host)) {
		return errors.New(`want HOST:PORT, an IPv6 address in brackets, or ""`)
	}
	*l = Listen(b)
	return nil
}

const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._"

// IsHost reports whether s may be a host's address or name.
func IsHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	return strings.Trim(s, hostBytes) == ""
}

// Level is the lowest level that is logged.
type Level struct{ zapcore.Level }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(b []byte) error {
	for level := zapcore.DebugLevel; level <= zapcore.ErrorLevel; level++ {
		if level.String() == string(b) {
			l.Level = level
			return nil
		}
	}
	return errors.New(`want "debug", "info", "warn" or "error"`)
}
