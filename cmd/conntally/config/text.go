package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// The types of values. UnmarshalText's error says what is allowed; its caller adds the key
// and the value.

// conntally-history's configuration has these values, too.
type (
	// MAC is an Ethernet address.
	MAC = setting.MAC
	// IP is an address.
	IP = setting.IP
	// Network is a prefix.
	Network = setting.Network
	// Listen is an address to listen at.
	Listen = setting.Listen
	// Level is that of the log.
	Level = setting.Level
)

// Duration is a time.Duration from 1 ms to a day.
type Duration time.Duration

const maxDuration = 24 * time.Hour

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	return readDuration((*time.Duration)(d), b, time.Millisecond)
}

// readDuration sets v to the duration that b is, from least to a day.
func readDuration(v *time.Duration, b []byte, least time.Duration) error {
	read, err := time.ParseDuration(string(b))
	if err != nil || read < least || read > maxDuration {
		return fmt.Errorf(`want a duration from %s to 24h, such as "60s" or "5m"`, least)
	}
	*v = read
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// RepeatInterval is a time.Duration from 1 s to a day.
type RepeatInterval time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *RepeatInterval) UnmarshalText(b []byte) error {
	return readDuration((*time.Duration)(i), b, time.Second)
}

// Interval is a poll interval; 0 is "auto".
type Interval time.Duration

const minInterval = 100 * time.Millisecond

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Interval) UnmarshalText(b []byte) error {
	if string(b) == "auto" {
		*i = 0
		return nil
	}
	v, err := time.ParseDuration(string(b))
	if err != nil || v < minInterval || v > maxDuration {
		return errors.New(`want "auto" or a duration from 100ms to 24h, such as "10s"`)
	}
	*i = Interval(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (i Interval) MarshalText() ([]byte, error) {
	if i == 0 {
		return []byte("auto"), nil
	}
	return []byte(time.Duration(i).String()), nil
}

// Size is a number of bytes.
type Size int

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	text, factor := string(b), uint64(1)
	if n, ok := strings.CutSuffix(text, "KiB"); ok {
		text, factor = n, 1<<10
	} else if n, ok := strings.CutSuffix(text, "MiB"); ok {
		text, factor = n, 1<<20
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	if err != nil || n == 0 || n > 1<<30/factor {
		return errors.New(`want a size up to "1024MiB", such as "512KiB" or "16MiB"`)
	}
	*s = Size(n * factor)
	return nil
}

// Address is a collector's: a host, by name or number, and a port.
type Address string

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Address) UnmarshalText(b []byte) error {
	host, port, err := net.SplitHostPort(string(b))
	switch {
	case err != nil:
		return errors.New("want HOST:PORT, an IPv6 address in brackets")
	case host == "":
		return errors.New("the host is missing: want HOST:PORT")
	case !setting.IsHost(host):
		return errors.New("want HOST:PORT with a host's name or address")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("want HOST:PORT with a port from 1 to 65535")
	}
	*a = Address(b)
	return nil
}

// Source is the local address to send from; "" leaves the choice to the kernel.
type Source struct{ netip.Addr }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Source) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = Source{}
		return nil
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.IsUnspecified() || a.IsMulticast() {
		return errors.New(`want an address of this host, such as "192.0.2.1", or ""`)
	}
	s.Addr = a.Unmap()
	return nil
}

// Interface is the name of an interface; "" is none.
type Interface string

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *Interface) UnmarshalText(b []byte) error {
	if len(b) > 0 && !isInterface(string(b)) {
		return errors.New(`want an interface's name, such as "wan0", or ""`)
	}
	*i = Interface(b)
	return nil
}

// Protocol is an export.Protocol; the zero value is IPFIX.
type Protocol struct{ netflow9 bool }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Protocol) UnmarshalText(b []byte) error {
	v, err := export.ParseProtocol(string(b))
	if err != nil {
		return errors.New(`want "ipfix" or "netflow9"`)
	}
	p.netflow9 = v == export.NetFlow9
	return nil
}

// Value returns the protocol.
func (p Protocol) Value() export.Protocol {
	if p.netflow9 {
		return export.NetFlow9
	}
	return export.IPFIX
}

// View is a flow.View.
type View struct{ flow.View }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *View) UnmarshalText(b []byte) error {
	view, err := flow.ParseView(string(b))
	if err != nil {
		return errors.New(`want "endpoints" or "wire"`)
	}
	v.View = view
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (v View) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// EndSource is how the ends of connections are read.
type EndSource uint8

// The sources.
const (
	EndsByNetlink EndSource = iota
	EndsByBPF               // where that can't be had by netlink, which is a condition
	EndsByEither            // by eBPF where that can be had, else by netlink
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *EndSource) UnmarshalText(b []byte) error { return oneOf(s, b, "netlink", "bpf", "auto") }

// MarshalText implements encoding.TextMarshaler.
func (s EndSource) MarshalText() ([]byte, error) {
	return []byte([...]string{"netlink", "bpf", "auto"}[s]), nil
}

// ExtraField is a field of records that is left out unless asked for.
type ExtraField uint8

// The extra fields.
const (
	ExtraFlowID ExtraField = iota
	ExtraVLAN
	ExtraMAC
	ExtraZone
	ExtraMark
	ExtraSourceMAC // an older name of ExtraMAC
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *ExtraField) UnmarshalText(b []byte) error {
	return oneOf(f, b, "flow_id", "vlan", "mac", "zone", "mark", "source_mac")
}

// oneOf sets v to the index of b in words.
func oneOf[T ~uint8](v *T, b []byte, words ...string) error {
	for i, word := range words {
		if word == string(b) {
			*v = T(i)
			return nil
		}
	}
	last := len(words) - 1
	return fmt.Errorf(`want "%s" or "%s"`, strings.Join(words[:last], `", "`), words[last])
}
