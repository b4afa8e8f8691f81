package config

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/host"
)

// The types of values of devices and their metrics.

// MAC is an Ethernet address.
type MAC struct{ host.MAC }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(b []byte) error {
	mac, err := host.ParseMAC(string(b))
	if err != nil || mac == (host.MAC{}) {
		return errors.New(`want an Ethernet address, such as "02:00:00:00:00:01"`)
	}
	m.MAC = mac
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

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

// Labels are Prometheus labels by name.
type Labels map[string]string

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// reservedLabels are the labels that metrics have already.
const reservedLabels = " collector condition device direction goversion interface mac name " +
	"addresses protocol scope vendor version "

// check returns why the labels can't be used, or nil.
func (l Labels) check() error {
	for name, value := range l {
		switch {
		case !labelName.MatchString(name) || strings.HasPrefix(name, "__"):
			return fmt.Errorf("%q can't be a label's name: want letters, digits and _", name)
		case strings.Contains(reservedLabels, " "+name+" "):
			return fmt.Errorf("metrics have a label %q of their own", name)
		case !utf8.ValidString(value):
			return fmt.Errorf("the value of %q is not UTF-8", name)
		}
	}
	return nil
}

func (c *Config) checkDevices(wrong func(table any, key, text string)) {
	if err := c.Metrics.Labels.check(); err != nil {
		wrong(&c.Metrics, "labels", err.Error())
	}
	if c.Metrics.Devices && !c.Devices.Enable {
		wrong(&c.Metrics, "devices", "needs [devices] enable = true")
	}
	for _, path := range c.Devices.Leases {
		if path != "auto" && !filepath.IsAbs(path) {
			wrong(&c.Devices, "leases", fmt.Sprintf(`%q: want "auto" or paths that begin with /`,
				path))
		}
	}
	if s := c.Control.Socket; s != "" && s != AutoSocket && !filepath.IsAbs(s) {
		wrong(&c.Control, "socket", `want "auto", a path that begins with /, or "" for none`)
	}
	names, owners := map[string]int{}, map[string]int{}
	for i := range c.Named {
		c.Named[i].check(i, names, owners, wrong)
	}
}

// check checks device i, whose name and addresses no other may have.
func (d *Device) check(
	i int, names, owners map[string]int, wrong func(table any, key, text string),
) {
	taken := func(all map[string]int, word string) (text string) {
		if first, known := all[word]; known {
			text = fmt.Sprintf("%s is that of #%d already", word, first+1)
		}
		all[word] = i
		return text
	}
	switch text := taken(names, d.Name); {
	case d.Name == "":
		wrong(d, "name", "is missing")
	case !isName(d.Name):
		wrong(d, "name", "want letters, digits, spaces and any of - _ .")
	case text != "":
		wrong(d, "name", text)
	}
	for _, mac := range d.MAC {
		if text := taken(owners, mac.String()); text != "" {
			wrong(d, "mac", text)
		}
	}
	for _, ip := range d.Address {
		if text := taken(owners, ip.String()); text != "" {
			wrong(d, "address", text)
		}
	}
	if len(d.MAC)+len(d.Address) == 0 {
		wrong(d, "mac", "is missing: want mac or address")
	}
}

// maxName bounds a device's name, in bytes: that of a DNS label.
const maxName = 63

// isName reports whether a device may have a name, which is shown on terminals, in pages and
// in tables.
func isName(s string) bool {
	strange := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" -_.", r)
	}
	return len(s) <= maxName && utf8.ValidString(s) && strings.TrimSpace(s) == s &&
		!strings.HasPrefix(s, "-") && !strings.ContainsFunc(s, strange)
}

// Aliases returns the named devices.
func (c *Config) Aliases() []account.Alias {
	var all []account.Alias
	for i := range c.Named {
		d := &c.Named[i]
		alias := account.Alias{Name: d.Name}
		for _, mac := range d.MAC {
			alias.MACs = append(alias.MACs, mac.MAC)
		}
		for _, ip := range d.Address {
			alias.Addrs = append(alias.Addrs, ip.Addr)
		}
		all = append(all, alias)
	}
	return all
}
