package route

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/conntally/conntally/flow"
)

// changeCase is a router's set-up, a change, and a connection's path before and after it.
type changeCase struct {
	setup, change string
	connection
	before, after string
}

// routeChanges are changes of routes, rules and uplinks.
func routeChanges() map[string]changeCase {
	out := connection{from: client, to: server}
	out6 := connection{from: client6, to: server6}
	return map[string]changeCase{
		"the default route goes": {"", "route delete default dev wan1", out, "lan0 > wan1",
			"lan0 > wan2"},
		"the IPv6 default route goes": {"", "-6 route delete default dev wan1", out6,
			"lan0 > wan1", "lan0 > wan2"},
		"the uplink goes down": {"", "link set wan1 down", out, "lan0 > wan1",
			"lan0 > wan2"},
		"the uplink is deleted": {"", "link delete wan1", out, "lan0 > wan1",
			"lan0 > wan2"},
		"a route comes": {"", "route add 192.0.2.0/24 via 203.0.113.254", out,
			"lan0 > wan1", "lan0 > wan2"},
		"a route within another comes": {"route add 192.0.0.0/16 dev wan1",
			"route add 192.0.2.20/32 dev wan2", out, "lan0 > wan1", "lan0 > wan2"},
		"a route goes": {"route add 192.0.2.0/24 dev wan2",
			"route delete 192.0.2.0/24", out, "lan0 > wan2", "lan0 > wan1"},
		"a rule comes": {"route add default dev wan2 table 2",
			"rule add from 192.168.77.0/28 lookup 2", out, "lan0 > wan1", "lan0 > wan2"},
		"a rule goes": {
			"route add default dev wan2 table 2\nrule add iif lan0 lookup 2",
			"rule delete iif lan0 lookup 2", out, "lan0 > wan2", "lan0 > wan1"},
		"a rule's interface comes": {
			"route add default dev wan2 table 2\nrule add iif dmz0 lookup 2\n" +
				"route add 192.168.78.0/24 dev wan1",
			"link add dmz0 type ifb\nlink set dmz0 up\nroute replace 192.168.78.0/24 dev dmz0",
			connection{from: "192.168.78.5", to: server}, "wan1 > wan1", "dmz0 > wan2"},
		"a next hop changes": {"nexthop add id 7 dev wan1 via 198.51.100.254\n" +
			"route add 192.0.2.0/24 nhid 7", "nexthop replace id 7 dev wan2 via 203.0.113.254", out,
			"lan0 > wan1", "lan0 > wan2"},
	}
}

// addressChanges are changes of addresses and of the uplinks that they belong to.
func addressChanges() map[string]changeCase {
	out := connection{from: client, to: server}
	return map[string]changeCase{
		"an address becomes ours": {"", "address add 192.0.2.20/32 dev lan0", out,
			"lan0 > wan1", "lan0 >"},
		"an address is ours no more": {"address add 192.0.2.20/32 dev lan0",
			"address delete 192.0.2.20/32 dev lan0", out, "lan0 >", "lan0 > wan1"},
		"translation gets a new address": {"", "address add 203.0.113.77/24 dev wan2",
			connection{from: client, to: server, as: "203.0.113.77"}, "lan0 > wan1", "lan0 > wan2"},
		"an uplink is none any more": {"",
			"route delete default dev wan2\n-6 route delete default dev wan2",
			connection{from: client, to: server, as: "203.0.113.1"}, "lan0 > wan2", "lan0 > wan1"},
		"the uplink with the translated address goes down": {
			"link add wan3 type ifb\nlink set wan3 up\nroute add default dev wan3 metric 5\n" +
				"address add 192.0.2.129/25 dev wan3\nroute add 192.0.2.20 dev wan2",
			"link set wan3 down",
			connection{from: client, to: server, as: "192.0.2.129"}, "lan0 > wan3", "lan0 > wan2",
		},
		"an uplink's next hop changes": {
			"route delete default dev wan1\nnexthop add id 7 dev wan1 via 198.51.100.254\n" +
				"route add default nhid 7 metric 5\nlink add wan3 type ifb\nlink set wan3 up\n" +
				"address add 192.0.2.129/25 dev wan3\nroute add 192.0.2.20 dev wan2",
			"nexthop replace id 7 dev wan3",
			connection{from: client, to: server, as: "192.0.2.129"}, "lan0 > wan2",
			"lan0 > wan3",
		},
		"another uplink": {
			"link add wan3 type ifb\nlink set wan3 up\naddress add 192.0.2.129/25 dev wan3",
			"route add default dev wan3 metric 5",
			out, "lan0 > wan1", "lan0 > wan3",
		},
		"another name": {"", "link set wan1 down\nlink set wan1 name uplink\nlink set uplink up\n" +
			"route add default via 198.51.100.254 dev uplink", out, "lan0 > wan1", "lan0 > uplink"},
	}
}

// TestChangesInvalidateCachedPaths: whatever change may affect a path is noticed, even if the
// kernel sends no notification of it.
func TestChangesInvalidateCachedPaths(t *testing.T) {
	cases := routeChanges()
	maps.Copy(cases, addressChanges())
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, c.setup, Options{})
			r.goes(c.connection, c.before)
			version := r.resolver.Version()
			r.ip(c.change)
			r.settle()
			// some changes are read, not too often
			r.await("never "+c.after, func() bool { return r.route(c.connection) == c.after })
			if now := r.resolver.Version(); now == version {
				t.Error("the version is the same")
			}
		})
	}
}

// TestVanishedUplinkIsNoticed: the routes of an uplink go without a notification in more ways
// than one; what is known then is what is read again.
func TestVanishedUplinkIsNoticed(t *testing.T) {
	alone := "-6 route delete default dev wan1\n"
	for name, c := range map[string]struct{ setup, change, uplink string }{
		"its last address goes": {alone,
			"address delete 198.51.100.1/24 dev wan1\naddress add 198.51.100.1/24 dev wan1",
			"wan1"},
		"all its addresses go": {alone,
			"address flush dev wan1\naddress add 198.51.100.1/24 dev wan1", "wan1"},
		"the source of a route": {"route add default dev lan0 src 198.51.100.1 metric 30\n",
			"address delete 198.51.100.1/24 dev wan1", "lan0"},
		"its next hop object goes": {alone + "route delete default dev wan1\n" +
			"nexthop add id 7 dev wan1 via 198.51.100.254\nroute add default nhid 7 metric 10",
			"nexthop delete id 7", "wan1"},
		"its carrier, and it after": {"link add wan3 type veth peer name isp3\nlink set wan3 up\n" +
			"link set isp3 up\nroute add default dev wan3 metric 5",
			"link set isp3 down\nlink set wan3 down\nlink set isp3 up\nlink set wan3 up", "wan3"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, c.setup, Options{})
			index, _ := r.resolver.Index(c.uplink)
			if !r.resolver.Uplink(index) {
				t.Fatalf("%s is no uplink", c.uplink)
			}
			r.ip(c.change)
			r.settle()
			known := r.resolver
			r.open(Options{})
			want := r.resolver.Uplink(index)
			r.await(c.uplink+" is known for an uplink otherwise than it is read",
				func() bool { return known.Uplink(index) == want })
			if want {
				t.Error("it is one all the same: a case that says nothing")
			}
		})
	}
}

// TestRecreatedInterfaceHasNewIndex: an interface that is made again has another index, and
// its uplink, names and translation follow.
func TestRecreatedInterfaceHasNewIndex(t *testing.T) {
	renamed := make(chan struct{}, 100)
	r := newRouter(t, "", Options{Renamed: func() { renamed <- struct{}{} }})
	masqueraded := connection{from: client, to: server, as: "198.51.100.1"}
	for _, index := range []string{"40", "41", "42"} {
		_, names := r.resolver.Interfaces()
		r.ip("link delete wan1\nlink add wan1 index " + index + " type ifb\nlink set wan1 up\n" +
			"address add 198.51.100.1/24 dev wan1\n" +
			"route add default via 198.51.100.254 dev wan1 metric 10")
		r.settle()
		r.goes(masqueraded, "lan0 > wan1")
		p := r.resolver.Path(masqueraded.event())
		if now, _ := r.resolver.Index("wan1"); p[1].Index() != now || !p[1].Uplink() || now < 40 {
			t.Errorf("wan1 is %d, an uplink %t, the path goes by %d", now, p[1].Uplink(),
				p[1].Index())
		}
		if _, now := r.resolver.Interfaces(); now == names {
			t.Error("interfaces have the same version as before")
		}
		<-renamed
	}
}

// TestInterfacesAreListedInOrder: all are there, in order, described by alias, kind and address.
func TestInterfacesAreListedInOrder(t *testing.T) {
	r := newRouter(t, `
link set wan1 alias DSL
link add br-lan type bridge
link add port0 type veth peer name port1
link set port0 master br-lan
link add link port1 name mac0 type macvlan
`, Options{})
	all, _ := r.resolver.Interfaces()
	got := map[string]string{}
	for _, i := range all {
		got[i.Name] = i.Description
	}
	for name, want := range map[string]string{
		"lo": "lo loopback 127.0.0.1/8", "lan0": "lan0 ifb 192.168.77.1/24", "wan1": "DSL",
		"br-lan": "br-lan bridge", "port0": "port0 veth on port1", "mac0": "mac0 macvlan on port1",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	byIndex := func(a, b flow.Interface) int { return int(a.Index) - int(b.Index) }
	if !slices.IsSortedFunc(all, byIndex) {
		t.Errorf("not in order: %v", all)
	}
	for _, i := range all {
		if index, ok := r.resolver.Index(i.Name); !ok || index != i.Index ||
			r.resolver.Name(i.Index) != i.Name {
			t.Errorf("%s: index %d, %t, name %q", i.Name, index, ok, r.resolver.Name(i.Index))
		}
	}
	if _, ok := r.resolver.Index("none"); ok || r.resolver.Name(4711) != "" ||
		r.resolver.Name(0) != "" {
		t.Error("what isn't there has an index or a name")
	}
}

// TestNextHopGroupIsMultipath: a route by a group of next hop objects may not show that the
// group has several.
func TestNextHopGroupIsMultipath(t *testing.T) {
	r := newNamespace(t)
	if err := r.Sysctl("net/ipv4/nexthop_compat_mode", "0"); err != nil {
		t.Skip(err)
	}
	r.ip(routerSetup + "nexthop add id 7 dev wan1 via 198.51.100.254\n" +
		"nexthop add id 8 dev wan2 via 203.0.113.254\n" +
		"nexthop add id 9 group 7/8\nroute add 192.0.0.0/8 nhid 9")
	r.open(Options{})
	used := map[string]bool{}
	for i := range 200 {
		p := r.path(connection{from: client, to: fmt.Sprintf("192.0.2.%d", i+1)})
		used[p[1]] = true
	}
	if !used["wan1"] || !used["wan2"] || len(used) != 2 {
		t.Errorf("200 connections leave by %v", used)
	}
}
