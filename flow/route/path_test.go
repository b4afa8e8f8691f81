package route

import (
	"maps"
	"testing"

	"github.com/conntally/conntally/conntrack"
)

const (
	client  = "192.168.77.10"
	client6 = "2001:db8:77::10"
	server  = "192.0.2.20"
	server6 = "2001:db8:ffff::20"
)

// pathCase is a router's set-up, and by which interfaces connections go then.
type pathCase struct {
	setup string
	mark  bool
	paths []pathWant
}

type pathWant struct {
	connection
	want string
}

// snat returns c with its source translated.
func snat(c connection, as string) connection { c.as = as; return c }

// marked returns c with a mark.
func marked(c connection, mark uint32) connection { c.mark = mark; return c }

// routePaths are of routers without policy rules.
func routePaths() map[string]pathCase {
	out, out6 := connection{from: client, to: server}, connection{from: client6, to: server6}
	return map[string]pathCase{
		"routed": {paths: []pathWant{
			{out, "lan0 > wan1"},
			{out6, "lan0 > wan1"},
			{snat(out, "198.51.100.1"), "lan0 > wan1"},
			{connection{from: server6, to: client6}, "wan1 > lan0"},
			{connection{from: server, to: "198.51.100.1", server: client}, "wan1 > lan0"},
			{connection{from: client, to: "192.168.77.1", server: "192.168.77.20",
				as: "192.168.77.1"}, "lan0 > lan0"},
			{connection{from: "198.51.100.9", to: "203.0.113.9"}, "wan1 > wan2"},
		}},
		"the router itself": {paths: []pathWant{
			{connection{from: client, to: "192.168.77.1"}, "lan0 >"},
			{connection{from: client6, to: "2001:db8:77::1"}, "lan0 >"},
			{connection{from: "198.51.100.1", to: server}, "> wan1"},
			{connection{from: "2001:db8:100::1", to: server6}, "> wan1"},
			{connection{from: server, to: "198.51.100.1"}, "wan1 >"},
			{connection{from: client, to: "198.51.100.1"}, "lan0 >"},
			// a transparent proxy
			{connection{from: client, to: server, server: "192.168.77.1"}, "lan0 >"},
			{connection{from: "192.168.77.1", to: "198.51.100.1"}, "lo >"},
		}},
		"to many": {paths: []pathWant{
			{connection{from: client, to: "224.0.0.251"}, "lan0 >"},
			{connection{from: client, to: "192.168.77.255"}, "lan0 >"},
			{connection{from: "192.168.77.1", to: "224.0.0.251"}, "> lan0"},
			{connection{from: "192.168.77.1", to: "192.168.77.255"}, "> lan0"},
			{connection{from: "2001:db8:77::1", to: "ff02::fb"}, "> lan0"},
			{connection{from: "0.0.0.0", to: "255.255.255.255"}, "lo >"}, // nobody knows
		}},
		"nowhere": {
			setup: "route add unreachable 192.0.2.0/24\nroute add blackhole 192.0.3.0/24\n",
			paths: []pathWant{{out, "lan0 >"},
				{connection{from: client, to: "192.0.3.1"}, "lan0 >"},
				{connection{from: server, to: "192.0.3.1"}, "lo >"}},
		},
		"more specific routes": {
			setup: "route add 192.0.2.0/25 via 203.0.113.254\nroute add 192.0.2.20/32 dev wan1\n" +
				"route add 192.168.80.0/20 via 192.168.77.2\n",
			paths: []pathWant{
				{out, "lan0 > wan1"},
				{connection{from: client, to: "192.0.2.19"}, "lan0 > wan2"},
				{connection{from: client, to: "192.0.2.21"}, "lan0 > wan2"},
				{connection{from: client, to: "192.0.2.127"}, "lan0 > wan2"},
				{connection{from: client, to: "192.0.2.128"}, "lan0 > wan1"},
				{connection{from: "192.168.95.255", to: server}, "lan0 > wan1"},
				{connection{from: "192.168.96.0", to: server}, "wan1 > wan1"},
			},
		},
	}
}

// markPaths are of routers whose rules choose by marks.
func markPaths() map[string]pathCase {
	out, out6 := connection{from: client, to: server}, connection{from: client6, to: server6}
	return map[string]pathCase{
		"a rule by mark": {
			mark: true,
			setup: "route add default via 203.0.113.254 table 2\nrule add fwmark 2 lookup 2\n" +
				"route add default via 2001:db8:200::fe dev wan2 table 2\n" +
				"-6 rule add fwmark 2 lookup 2\n",
			paths: []pathWant{
				{out, "lan0 > wan1"},
				{marked(out, 2), "lan0 > wan2"},
				{marked(out, 3), "lan0 > wan1"},
				{marked(out6, 2), "lan0 > wan2"},
				{out6, "lan0 > wan1"},
				{marked(connection{from: server6, to: client6}, 2), "wan2 > lan0"},
				{marked(connection{from: server, to: "203.0.113.1", server: client}, 2),
					"wan2 > lan0"},
			},
		},
		"a rule by mark that only translation shows": {
			setup: "route add default via 203.0.113.254 table 2\nrule add fwmark 2 lookup 2\n",
			paths: []pathWant{
				{snat(marked(out, 2), "203.0.113.1"), "lan0 > wan2"},
				{snat(out, "198.51.100.1"), "lan0 > wan1"},
				{connection{from: server, to: "203.0.113.1", server: client}, "wan2 > lan0"},
				{connection{from: server, to: "203.0.113.1"}, "wan2 >"},
				{snat(out, "192.168.77.1"), "lan0 > wan1"}, // ours, but of no uplink
				{snat(out, "198.51.100.77"), "lan0 > wan1"},
			},
		},
	}
}

// endPaths are of routers whose rules choose by the ends of connections.
func endPaths() map[string]pathCase {
	out, out6 := connection{from: client, to: server}, connection{from: client6, to: server6}
	return map[string]pathCase{
		"a rule by source": {
			setup: "route add default via 203.0.113.254 table 2\n" +
				"rule add from 192.168.77.128/25 lookup 2\nrule add from 203.0.113.1 lookup 2\n" +
				"route add default via 2001:db8:200::fe dev wan2 table 2\n" +
				"-6 rule add from 2001:db8:77::8000/113 lookup 2\n",
			paths: []pathWant{
				{out, "lan0 > wan1"},
				{connection{from: "192.168.77.200", to: server}, "lan0 > wan2"},
				{connection{from: "203.0.113.1", to: server}, "> wan2"},
				{connection{from: server, to: "203.0.113.1"}, "wan2 >"},
				{out6, "lan0 > wan1"},
				{connection{from: "2001:db8:77::8001", to: server6}, "lan0 > wan2"},
				{connection{from: server6, to: "2001:db8:77::8001"}, "wan2 > lan0"},
			},
		},
		"a rule by destination": {
			setup: "route add default via 203.0.113.254 table 2\n" +
				"rule add to 192.0.2.128/25 lookup 2\n",
			paths: []pathWant{
				{out, "lan0 > wan1"},
				{connection{from: client, to: "192.0.2.200"}, "lan0 > wan2"},
				{connection{from: client, to: "192.0.3.1"}, "lan0 > wan1"},
			},
		},
		"routes by source": {
			setup: "route add default from 2001:db8:77::8000/113 via 2001:db8:200::fe dev wan2 " +
				"metric 5\n",
			paths: []pathWant{
				{out6, "lan0 > wan1"},
				{connection{from: "2001:db8:77::8001", to: server6}, "lan0 > wan2"},
			},
		},
		"a rule by interface": {
			setup: "link add dmz0 type ifb\nlink set dmz0 up\n" +
				"address add 192.168.78.1/24 dev dmz0\n" +
				"address add 2001:db8:78::1/64 dev dmz0 nodad\n" +
				"route add default via 203.0.113.254 table 2\nrule add iif dmz0 lookup 2\n" +
				"route add default via 2001:db8:200::fe dev wan2 table 2\n" +
				"-6 rule add iif dmz0 lookup 2\n",
			paths: []pathWant{
				{out, "lan0 > wan1"},
				{connection{from: "192.168.78.9", to: server}, "dmz0 > wan2"},
				{connection{from: server, to: "192.168.78.9"}, "wan2 > dmz0"},
				{connection{from: "2001:db8:78::9", to: server6}, "dmz0 > wan2"},
				{out6, "lan0 > wan1"},
			},
		},
	}
}

// otherRulePaths are of routers with other rules.
func otherRulePaths() map[string]pathCase {
	out := connection{from: client, to: server}
	return map[string]pathCase{
		"rules for what the router sends": {
			setup: "route add default via 203.0.113.254 table 2\nrule add iif lo lookup 2\n",
			paths: []pathWant{{out, "lan0 > wan1"}, {connection{from: "198.51.100.1", to: server},
				"> wan1"}, {connection{from: "192.168.77.1", to: server}, "> wan2"}},
		},
		"rules for users": {
			setup: "route add default via 203.0.113.254 table 2\n" +
				"rule add uidrange 0-100000 lookup 2\n",
			paths: []pathWant{{out, "lan0 > wan1"}},
		},
		"only policy leads out": {
			setup: "route delete default dev wan1\nroute delete default dev wan2\n" +
				"route add default via 203.0.113.254 table 2\n" +
				"rule add from 192.168.77.0/24 lookup 2\n",
			paths: []pathWant{{out, "lan0 > wan2"},
				{connection{from: server, to: "203.0.113.1", server: client}, "wan2 > lan0"}},
		},
		"a strict reverse path filter": { // as its maximum with all, it counts everywhere
			setup: "route add default via 203.0.113.254 table 2\n" +
				"rule add iif lan0 from 192.168.77.128/25 lookup 2\n",
			paths: []pathWant{{out, "lan0 > wan1"}, {connection{from: "192.168.77.200", to: server},
				"lan0 > wan2"}},
		},
	}
}

// interfacePaths are of routers with other kinds of interfaces.
func interfacePaths() map[string]pathCase {
	out, out6 := connection{from: client, to: server}, connection{from: client6, to: server6}
	return map[string]pathCase{
		"bridges and what they stand on": {
			setup: `link add port0 type veth peer name port1
link add br-lan type bridge
link set port0 master br-lan
link set port0 up
link set port1 up
link set br-lan up
address delete 192.168.77.1/24 dev lan0
address add 192.168.77.1/24 dev br-lan
link add link port1 name mac0 type macvlan
link set mac0 up
address add 192.0.2.1/24 dev mac0
`,
			paths: []pathWant{
				{out, "br-lan > mac0"},
				{connection{from: client, to: "192.0.3.1"}, "br-lan > wan1"},
				{connection{from: client, to: "192.168.77.1"}, "br-lan >"},
			},
		},
		"tunnels": {
			setup: `tuntap add mode tun name tun7
link set tun7 up
route add 2001:db8:ffff::/48 dev tun7
link add vx0 type vxlan id 7 remote 203.0.113.7 local 203.0.113.1 dstport 4789
link set vx0 up
route add 10.8.0.0/16 dev vx0
`,
			paths: []pathWant{
				{out6, "lan0 > tun7"},
				{connection{from: "10.8.1.1", to: client}, "vx0 > lan0"},
				{connection{from: "203.0.113.1", to: "203.0.113.7"}, "> wan2"},
			},
		},
		"VLANs": {
			setup: `link add link wan1 name wan1.7 type vlan id 7
link set wan1.7 up
address add 192.0.2.1/24 dev wan1.7
`,
			paths: []pathWant{{out, "lan0 > wan1.7"},
				{connection{from: client, to: "192.0.3.1"}, "lan0 > wan1"}},
		},
	}
}

// unroutedPaths are of addresses that routes alone don't decide about.
func unroutedPaths() map[string]pathCase {
	out := connection{from: client, to: server}
	return map[string]pathCase{
		"link-local": {
			setup: "address add fe80::1:1/64 dev lan0 nodad\n" +
				"address add fe80::2:1/64 dev wan1 nodad\n" +
				"address add fe80::5:5/64 dev lan0 nodad\n" +
				"address add fe80::5:5/64 dev wan2 nodad\n",
			paths: []pathWant{
				{connection{from: "fe80::9", to: "fe80::1:1"}, "lan0 >"},
				{connection{from: "fe80::2:1", to: "fe80::9"}, "> wan1"},
				{connection{from: "fe80::1:1", to: "ff02::1"}, "> lan0"},
				{connection{from: "fe80::9", to: "fe80::5:5"}, "lo >"}, // of two interfaces
				{connection{from: "fe80::9", to: "ff02::1:2"}, "lo >"}, // of any
				{connection{from: "fe80::1:1", to: "fe80::2:1"}, "lo >"},
			},
		},
		"bridged frames": {
			setup: "route add 10.9.0.0/16 dev wan1\n",
			paths: []pathWant{
				{connection{from: "10.50.0.11", to: "10.50.0.12"}, ">"},
				{connection{from: "2001:db8:50::11", to: "2001:db8:50::12"}, ">"},
				// routed all the same
				{connection{from: "10.50.0.11", to: "10.50.0.12", as: "198.51.100.1"},
					"wan1 > wan1"},
				{connection{from: "10.50.0.11", to: "10.9.0.12"}, "wan1 > wan1"},
				{connection{from: "198.51.100.7", to: "10.50.0.12"}, "wan1 > wan1"},
			},
		},
		"halves": {
			setup: "link add tun0 type ifb\nlink set tun0 up\nroute add 0.0.0.0/1 dev tun0\n" +
				"route add 128.0.0.0/1 dev tun0\n",
			paths: []pathWant{{out, "lan0 > tun0"}},
		},
	}
}

// TestPathsFollowPolicy compares paths on a real router with what its set-up implies.
func TestPathsFollowPolicy(t *testing.T) {
	cases := map[string]pathCase{}
	for _, some := range []map[string]pathCase{routePaths(), markPaths(), endPaths(),
		otherRulePaths(), interfacePaths(), unroutedPaths()} {
		maps.Copy(cases, some)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, c.setup, Options{Mark: c.mark})
			if name == "a strict reverse path filter" {
				if err := r.Sysctl("net/ipv4/conf/all/rp_filter", "1"); err != nil {
					t.Fatal(err)
				}
			}
			for _, p := range c.paths {
				r.goes(p.connection, p.want)
				r.goes(p.connection, p.want) // as remembered
			}
		})
	}
}

// TestPathsFollowRulesByPort: also of connections between the same addresses as one before.
func TestPathsFollowRulesByPort(t *testing.T) {
	r := newRouter(t, "route add default via 203.0.113.254 table 2\n"+
		"rule add ipproto tcp dport 443 lookup 2\n", Options{})
	for range 3 { // the first time, and as remembered
		for port, want := range map[uint16]string{443: "wan2", 80: "wan1"} {
			e := connection{from: client, to: server}.event()
			e.Orig.Proto, e.Orig.SrcPort, e.Orig.DstPort = conntrack.ProtoTCP, 50000, port
			e.Reply.Proto, e.Reply.SrcPort, e.Reply.DstPort = conntrack.ProtoTCP, port, 50000
			if got := r.resolver.Name(r.resolver.Path(e)[1].Index()); got != want {
				t.Errorf("to port %d by %s, want %s", port, got, want)
			}
		}
	}
}
