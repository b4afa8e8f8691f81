package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"unicode"
)

// Check implements tomlfile.Checker.
func (c *Config) Check(wrong func(table any, key, text string)) {
	type exporter struct {
		address  Address
		protocol Protocol
	}
	first := map[exporter]int{}
	for i := range c.Collectors {
		cc := &c.Collectors[i]
		same := exporter{cc.Address, cc.Protocol}
		switch before, again := first[same]; {
		case cc.Address == "":
			wrong(cc, "address", "is missing: want HOST:PORT")
		case again:
			wrong(cc, "address", fmt.Sprintf("named twice with this protocol, see #%d", before+1))
		default:
			first[same] = i
		}
		if family := cc.Address.family(); cc.Source.IsValid() && family != "" &&
			family != familyOf(cc.Source.Addr) {
			wrong(cc, "source", "want an "+family+" address, as the collector's is")
		}
		if cc.Interface != "" && cc.VRF != "" {
			wrong(cc, "vrf", "want one of interface and vrf")
		}
	}
	for i := range c.Filters {
		c.Filters[i].check(wrong)
	}
	c.checkDevices(wrong)
}

// family returns the family of a collector's address, or "" for a name, which may have both.
func (a Address) family() string {
	host, _, _ := net.SplitHostPort(string(a))
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	return familyOf(ip.Unmap())
}

func familyOf(ip netip.Addr) string {
	if ip.Is4() {
		return "IPv4"
	}
	return "IPv6"
}

func (f *Filter) check(wrong func(table any, key, text string)) {
	if f.Action == 0 {
		wrong(f, "action", `is missing: want "include" or "exclude"`)
	}
	for _, list := range []struct {
		key   string
		empty bool
	}{
		{"networks", isEmpty(f.Networks)},
		{"source_networks", isEmpty(f.SourceNetworks)},
		{"destination_networks", isEmpty(f.DestinationNetworks)},
		{"protocols", isEmpty(f.Protocols)},
		{"ports", isEmpty(f.Ports)},
		{"destination_ports", isEmpty(f.DestinationPorts)},
		{"zones", isEmpty(f.Zones)},
		{"marks", isEmpty(f.Marks)},
		{"interfaces", isEmpty(f.Interfaces)},
	} {
		if list.empty {
			wrong(f, list.key, "nothing would ever match: want at least one, or no such key")
		}
	}
	for _, name := range f.Interfaces {
		if !isInterface(name) {
			wrong(f, "interfaces", fmt.Sprintf("%q can't be an interface's name", name))
		}
	}
}

// isEmpty reports whether a list is configured, but without elements.
func isEmpty[T any](list []T) bool { return list != nil && len(list) == 0 }

// isInterface reports whether the kernel accepts an interface name (dev_valid_name).
func isInterface(name string) bool {
	const most = 15 // IFNAMSIZ - 1
	strange := func(r rune) bool { return r == '/' || r == ':' || unicode.IsSpace(r) }
	return name != "" && len(name) <= most && name != "." && name != ".." &&
		!strings.ContainsFunc(name, strange)
}
