package route

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/flow"
)

// interfaces lists all by index.
func (s *state) interfaces() []flow.Interface {
	all := make([]flow.Interface, 0, len(s.devices))
	numbered := s.numbered()
	for index, d := range s.devices {
		all = append(all,
			flow.Interface{Index: index, Name: d.name, Description: s.describe(&d, numbered[index]),
				VLAN: d.vlan})
	}
	slices.SortFunc(all, func(a, b flow.Interface) int { return cmp.Compare(a.Index, b.Index) })
	return all
}

// maxDescription bounds a description, in bytes: its field in template 513 has 32, with a
// NUL.
const maxDescription = 31

// describe returns what the administrator calls an interface (ip link set alias),
// else its name, which some collectors show in no other way, what it is, and the
// address that it is known by, as far as it fits.
func (s *state) describe(d *device, known string) string {
	if d.alias != "" {
		return d.alias
	}
	text := d.name
	for _, part := range []string{d.sort(), s.relation(d), known} {
		if part != "" && len(text)+1+len(part) <= maxDescription {
			text += " " + part
		}
	}
	return text
}

// relation names the interface that another stands on or belongs to.
func (s *state) relation(d *device) string {
	if parent, ok := s.devices[d.parent]; ok && d.parent != d.index {
		return "on " + parent.name
	}
	if master, ok := s.devices[d.master]; ok {
		return "in " + master.name
	}
	return ""
}

// sort names the kind of an interface, which hardware has not.
func (d *device) sort() string {
	switch d.kind {
	case "":
	case "vlan":
		return fmt.Sprint("vlan ", d.vlan)
	default:
		return d.kind
	}
	switch d.arp {
	case unix.ARPHRD_LOOPBACK:
		return "loopback"
	case unix.ARPHRD_ETHER:
		return "ethernet"
	case unix.ARPHRD_PPP:
		return "ppp"
	}
	return "interface"
}

// numbered returns the first address of each interface, as in 192.0.2.1/24: IPv4
// before IPv6, and link-local ones not at all.
func (s *state) numbered() map[uint32]string {
	first := map[uint32]address{}
	for a := range s.addresses {
		if isLinkLocal(&a.addr) {
			continue
		}
		if other, ok := first[a.index]; !ok || a.before(&other) {
			first[a.index] = a
		}
	}
	all := make(map[uint32]string, len(first))
	for index, a := range first {
		all[index] = fmt.Sprintf("%s/%d", a.addr.Netip(), a.bits)
	}
	return all
}

func (a *address) before(o *address) bool {
	if isMapped(&a.addr) != isMapped(&o.addr) {
		return isMapped(&a.addr)
	}
	return numberOf(&a.addr).compare(numberOf(&o.addr)) < 0
}
