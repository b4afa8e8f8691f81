package filter

import (
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// FuzzKeeps compares the compiled rules with a plain reading of each Rule.
func FuzzKeeps(f *testing.F) {
	f.Add([]byte("\x01\x08\x0a\x00\x00\x06\x01\xbb"), []byte("0123456789abcdef"), true)
	f.Add([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{10, 0, 0, 1}, false)
	f.Fuzz(func(t *testing.T, rules, connection []byte, v6 bool) {
		in := &input{rules}
		list := make([]Rule, in.byte()%4)
		for i := range list {
			list[i] = in.rule()
		}
		e := (&input{connection}).event(v6)
		if got, want := New(list, nil).Keeps(e), plain(list, e); got != want {
			t.Errorf("%+v of %+v: %v, want %v", list, e, got, want)
		}
	})
}

// plain is Keeps without any preparation.
func plain(rules []Rule, e *conntrack.Event) bool {
	from, to := e.Orig.Src.Netip(), e.Reply.Src.Netip()
	if e.Orig.Family == unix.AF_INET6 {
		from, to = netip.AddrFrom16(e.Orig.Src), netip.AddrFrom16(e.Reply.Src)
	}
	within := func(list []netip.Prefix, ends ...netip.Addr) bool {
		return len(list) == 0 || slices.ContainsFunc(list, func(p netip.Prefix) bool {
			return slices.ContainsFunc(ends, p.Contains)
		})
	}
	ported := slices.Contains([]uint8{6, 17, 33, 132, 136}, e.Orig.Proto)
	among := func(list []Ports, ports ...uint16) bool {
		return len(list) == 0 || ported && slices.ContainsFunc(list, func(r Ports) bool {
			return slices.ContainsFunc(ports,
				func(p uint16) bool { return r.First <= p && p <= r.Last })
		})
	}
	for _, r := range rules {
		if within(r.Networks, from, to) && within(r.Sources, from) && within(r.Destinations, to) &&
			(len(r.Protocols) == 0 || slices.Contains(r.Protocols, e.Orig.Proto)) &&
			among(r.Ports, e.Orig.SrcPort, e.Reply.SrcPort) &&
			among(r.DestinationPorts, e.Reply.SrcPort) &&
			(len(r.Zones) == 0 || slices.Contains(r.Zones, max(e.Zone, e.ReplyZone))) &&
			(len(r.Marks) == 0 || slices.ContainsFunc(r.Marks,
				func(m Mark) bool { return e.Mark&m.Mask == m.Value })) &&
			len(r.Interfaces) == 0 {
			return r.Include
		}
	}
	return true
}

// input makes rules and connections of the fuzzer's bytes. Few values, so that rules
// match now and then.
type input struct{ b []byte }

func (in *input) byte() byte {
	if len(in.b) == 0 {
		return 0
	}
	b := in.b[0]
	in.b = in.b[1:]
	return b
}

func (in *input) addr(v6 bool) netip.Addr {
	var a [16]byte
	a[0], a[8], a[15] = in.byte()&0xc0, in.byte()&3, in.byte()
	if v6 {
		return netip.AddrFrom16(a)
	}
	return netip.AddrFrom4([4]byte{a[0], a[8], 0, a[15]})
}

func (in *input) prefixes() (list []netip.Prefix) {
	for range in.byte() % 3 {
		a := in.addr(in.byte()%2 == 0)
		list = append(list, netip.PrefixFrom(a, int(in.byte())%(a.BitLen()+1)))
	}
	return list
}

func (in *input) rule() Rule {
	r := Rule{Include: in.byte()%2 == 0, Networks: in.prefixes(), Sources: in.prefixes(),
		Destinations: in.prefixes()}
	kinds := in.byte()
	if kinds&1 != 0 {
		r.Protocols = []uint8{in.byte(), 6}
	}
	if kinds&2 != 0 {
		r.Ports = []Ports{{uint16(in.byte()), uint16(in.byte())}}
	}
	if kinds&4 != 0 {
		r.DestinationPorts = []Ports{{uint16(in.byte()), 255}}
	}
	if kinds&8 != 0 {
		r.Zones = []uint16{uint16(in.byte() % 4)}
	}
	if kinds&16 != 0 {
		r.Marks = []Mark{{uint32(in.byte()), uint32(in.byte())}}
	}
	return r
}

func (in *input) event(v6 bool) *conntrack.Event {
	e := &conntrack.Event{Zone: uint16(in.byte() % 4), Mark: uint32(in.byte())}
	switch in.byte() % 3 { // a zone is of both directions or of one
	case 0:
		e.ReplyZone = e.Zone
	case 1:
		e.Zone, e.ReplyZone = 0, e.Zone
	}
	e.Orig.Family, e.Orig.Proto = unix.AF_INET, []uint8{6, 17, 1, 132, in.byte()}[in.byte()%5]
	if v6 {
		e.Orig.Family = unix.AF_INET6
	}
	e.Orig.Src, e.Reply.Src = conntrack.AddrFrom(in.addr(v6)), conntrack.AddrFrom(in.addr(v6))
	e.Orig.SrcPort, e.Reply.SrcPort = uint16(in.byte()), uint16(in.byte())
	return e
}
