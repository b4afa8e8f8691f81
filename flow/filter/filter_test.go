package filter

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// The connections that rules are tried on.
func connections() map[string]*conntrack.Event {
	return map[string]*conntrack.Event{
		// A LAN host behind source NAT.
		"web": event(conntrack.ProtoTCP, "192.168.77.10:50000", "198.51.100.20:443",
			"198.51.100.20:443", "203.0.113.1:50000"),
		// A port forwarded to a LAN host, on another port.
		"forwarded": event(conntrack.ProtoTCP, "198.51.100.20:40000", "203.0.113.1:8080",
			"192.168.77.10:80", "198.51.100.20:40000"),
		// The router itself asks.
		"dns": event(conntrack.ProtoUDP, "203.0.113.1:40053", "198.51.100.53:53",
			"198.51.100.53:53", "203.0.113.1:40053"),
		"six": event(conntrack.ProtoTCP, "[2001:db8:77::10]:50000", "[2001:db8:1::20]:443",
			"[2001:db8:1::20]:443", "[2001:db8:77::10]:50000"),
		"ping": event(conntrack.ProtoICMP, "192.168.77.11:443", "198.51.100.20:2048",
			"198.51.100.20:443", "203.0.113.1:0"),
		"zone": func() *conntrack.Event {
			e := event(conntrack.ProtoUDP, "10.0.0.1:1000", "10.0.0.2:2000", "10.0.0.2:2000",
				"10.0.0.1:1000")
			e.Zone, e.Mark = 7, 0x1234
			return e
		}(),
	}
}

func event(proto uint8, tuple ...string) *conntrack.Event {
	var ends [4]netip.AddrPort
	for i, s := range tuple {
		ends[i] = netip.MustParseAddrPort(s)
	}
	e := &conntrack.Event{Type: conntrack.Dump, Orig: tupleOf(proto, ends[0], ends[1]),
		Reply: tupleOf(proto, ends[2], ends[3])}
	return e
}

func tupleOf(proto uint8, from, to netip.AddrPort) conntrack.Tuple {
	family := uint8(unix.AF_INET)
	if from.Addr().Is6() {
		family = unix.AF_INET6
	}
	return conntrack.Tuple{
		Src: conntrack.AddrFrom(from.Addr()), Dst: conntrack.AddrFrom(to.Addr()),
		SrcPort: from.Port(), DstPort: to.Port(), Family: family, Proto: proto,
	}
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// links knows two interfaces: LAN addresses are behind 3, all others behind 2.
type links struct{ asked int }

func (l *links) Path(e *conntrack.Event) (p flow.Path) {
	l.asked++
	for d, a := range []conntrack.Addr{e.Orig.Src, e.Reply.Src} {
		switch {
		case netip.MustParsePrefix("192.168.77.0/24").Contains(a.Netip()):
			p[d] = flow.NewHop(3, false)
		case a.Netip() != netip.MustParseAddr("203.0.113.1"):
			p[d] = flow.NewHop(2, true)
		}
	}
	return p
}

func (l *links) Name(index uint32) string { return map[uint32]string{2: "wan0", 3: "lan0"}[index] }

// ruleCase is a rule, and the connections that match it.
type ruleCase struct {
	name string
	rule Rule
	want []string
}

// ruleCases have a rule for each condition.
func ruleCases() []ruleCase {
	all := []string{"web", "forwarded", "dns", "six", "ping", "zone"}
	return []ruleCase{
		{"none", Rule{}, all},
		{"LAN at either end", Rule{Networks: prefixes("192.168.77.0/24")},
			[]string{"web", "forwarded", "ping"}},
		{"LAN begins", Rule{Sources: prefixes("192.168.77.0/24")}, []string{"web", "ping"}},
		{"with LAN", Rule{Destinations: prefixes("192.168.77.0/24")}, []string{"forwarded"}},
		{"one host", Rule{Sources: prefixes("192.168.77.11/32")}, []string{"ping"}},
		{"the router's address is not what it translates",
			Rule{Networks: prefixes("203.0.113.1/32")}, []string{"dns"}},
		{"all of IPv4", Rule{Networks: prefixes("0.0.0.0/0")},
			[]string{"web", "forwarded", "dns", "ping", "zone"}},
		{"all of IPv6", Rule{Networks: prefixes("::/0")}, []string{"six"}},
		{"IPv6 of more than 64 bits", Rule{Networks: prefixes("2001:db8:77::/96")},
			[]string{"six"}},
		{"IPv6 of less", Rule{Networks: prefixes("2001:db8::/33")}, []string{"six"}},
		{"IPv6 next door", Rule{Networks: prefixes("2001:db8:78::/48", "2001:db8:77::/124")}, nil},
		{"a list of networks", Rule{Networks: prefixes("10.0.0.0/31", "192.168.77.11/32")},
			[]string{"ping", "zone"}},
		{"protocols", Rule{Protocols: []uint8{conntrack.ProtoUDP, conntrack.ProtoICMP}},
			[]string{"dns", "ping", "zone"}},
		{"protocol 255", Rule{Protocols: []uint8{255}}, nil},
		{"port at either end", Rule{Ports: []Ports{{50000, 50000}}}, []string{"web", "six"}},
		{"port of the server", Rule{DestinationPorts: []Ports{{443, 443}}}, []string{"web", "six"}},
		{"port behind the forwarding", Rule{DestinationPorts: []Ports{{80, 80}}},
			[]string{"forwarded"}},
		{"port in front of it", Rule{Ports: []Ports{{8080, 8080}}}, nil},
		{"ranges", Rule{Ports: []Ports{{1, 52}, {53, 80}}}, []string{"forwarded", "dns"}},
		{"all ports", Rule{Ports: []Ports{{0, 65535}}},
			[]string{"web", "forwarded", "dns", "six", "zone"}},
		{"zone 0", Rule{Zones: []uint16{0}}, []string{"web", "forwarded", "dns", "six", "ping"}},
		{"zones", Rule{Zones: []uint16{6, 7}}, []string{"zone"}},
		{"mark", Rule{Marks: []Mark{{0x1234, 0xffffffff}}}, []string{"zone"}},
		{"mark with mask", Rule{Marks: []Mark{{1, 0xffff}, {0x34, 0xff}}}, []string{"zone"}},
		{"no mark", Rule{Marks: []Mark{{0, 0xffffffff}}},
			[]string{"web", "forwarded", "dns", "six", "ping"}},
		{"interface of the LAN", Rule{Interfaces: []string{"lan0"}},
			[]string{"web", "forwarded", "ping"}},
		{"uplink", Rule{Interfaces: []string{"wan0"}}, all},
		{"no such interface", Rule{Interfaces: []string{"", "lo"}}, nil},
		{"all at once",
			Rule{Sources: prefixes("192.168.0.0/16"), Protocols: []uint8{conntrack.ProtoTCP},
				Interfaces: []string{"wan0"}}, []string{"web"}},
	}
}

func TestRuleMatchesByEachCondition(t *testing.T) {
	for _, c := range ruleCases() {
		want := map[string]bool{}
		for _, name := range c.want {
			want[name] = true
		}
		for name, e := range connections() {
			included := New([]Rule{c.rule}, &links{})
			included.rules[0].include = false
			if got := !included.Keeps(e); got != want[name] {
				t.Errorf("%s: %s matches: %v, want %v", c.name, name, got, want[name])
			}
		}
	}
}

// The first rule that matches decides, and what matches none is kept.
func TestFirstMatchingRuleDecides(t *testing.T) {
	tcp, udp := []uint8{conntrack.ProtoTCP}, []uint8{conntrack.ProtoUDP}
	cases := []struct {
		name  string
		rules []Rule
		want  map[string]bool // of "web" (TCP), "dns" (UDP) and "ping"
	}{
		{"no rule", nil, map[string]bool{"web": true, "dns": true, "ping": true}},
		{"exclude one kind", []Rule{{Protocols: udp}},
			map[string]bool{"web": true, "dns": false, "ping": true}},
		{"include alone changes nothing", []Rule{{Include: true, Protocols: tcp}},
			map[string]bool{"web": true, "dns": true, "ping": true}},
		{"include one kind, exclude the rest", []Rule{{Include: true, Protocols: tcp}, {}},
			map[string]bool{"web": true, "dns": false, "ping": false}},
		{"the first wins", []Rule{{Protocols: tcp}, {Include: true, Protocols: tcp},
			{Protocols: udp}}, map[string]bool{"web": false, "dns": false, "ping": true}},
		{"interfaces without links match nothing", []Rule{{Interfaces: []string{"wan0"}}},
			map[string]bool{"web": true, "dns": true, "ping": true}},
	}
	for _, c := range cases {
		for name, want := range c.want {
			if got := New(c.rules, nil).Keeps(connections()[name]); got != want {
				t.Errorf("%s: keeps %s: %v, want %v", c.name, name, got, want)
			}
		}
	}
}

// Interfaces may need a question to the kernel: they are looked at last.
func TestInterfacesAreResolvedLast(t *testing.T) {
	l := new(links)
	f := New([]Rule{{Protocols: []uint8{conntrack.ProtoUDP}, Interfaces: []string{"wan0"}}}, l)
	if f.Keeps(connections()["web"]); l.asked != 0 {
		t.Error("asked for the path of a connection that another condition ruled out")
	}
	if f.Keeps(connections()["dns"]); l.asked != 1 {
		t.Errorf("asked %d times", l.asked)
	}
}

// busy is a filter with all kinds of conditions, none of which match.
func busy() *Filter {
	return New([]Rule{
		{Networks: prefixes("10.1.0.0/16", "10.2.0.0/16", "2001:db8:2::/48")},
		{Protocols: []uint8{conntrack.ProtoUDP}, Ports: []Ports{{53, 53}, {123, 123}}},
		{Zones: []uint16{1, 2, 3}},
		{Marks: []Mark{{0x10, 0xff}}},
		{Interfaces: []string{"tun0"}},
	}, fixed{})
}

type fixed struct{}

func (fixed) Path(*conntrack.Event) flow.Path {
	return flow.Path{flow.NewHop(2, true), flow.NewHop(3, false)}
}
func (fixed) Name(index uint32) string { return [...]string{2: "wan0", 3: "lan0"}[index] }

func TestKeepsAllocatesNothing(t *testing.T) {
	f, e := busy(), connections()["web"]
	if n := testing.AllocsPerRun(100, func() { f.Keeps(e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkKeeps(b *testing.B) {
	f, e := busy(), connections()["web"]
	for b.Loop() {
		f.Keeps(e)
	}
}
