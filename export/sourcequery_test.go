package export

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
)

// uplinks is a router with two uplinks; the collector is beyond both.
type uplinks struct {
	router, beyond *lab.Namespace
	t              *testing.T
}

// family holds the addresses of the hosts.
type family struct{ collector, own0, via0, own1, via1 string }

var (
	family4 = family{"203.0.113.1", "192.0.2.2", "192.0.2.1", "198.51.100.2", "198.51.100.1"}
	family6 = family{
		"2001:db8:ff::1", "2001:db8::2", "2001:db8::1", "2001:db8:1::2", "2001:db8:1::1",
	}
)

func newUplinks(t *testing.T) *uplinks {
	t.Helper()
	u := &uplinks{t: t}
	for _, n := range []**lab.Namespace{&u.router, &u.beyond} {
		*n = labtest.NewNamespace(t)
		u.sysctl(*n, "net/ipv6/conf/default/accept_dad", "0") // usable at once
	}
	u.ip(u.router, "link add wan0 type veth peer name isp0 netns "+u.beyond.Path())
	u.ip(u.router, "link add wan1 type veth peer name isp1 netns "+u.beyond.Path())
	u.ip(u.beyond, "link set lo up")
	for _, f := range []family{family4, family6} {
		bits := map[family]string{family4: "/24", family6: "/64 nodad"}[f]
		host := map[family]string{family4: "/32", family6: "/128 nodad"}[f]
		u.ip(u.router,
			"address add "+f.own0+bits+" dev wan0\n address add "+f.own1+bits+" dev wan1")
		u.ip(u.beyond,
			"address add "+f.via0+bits+" dev isp0\n address add "+f.via1+bits+" dev isp1\n"+
				"address add "+f.collector+host+" dev lo")
	}
	u.ip(u.router, "link set wan0 up\n link set wan1 up")
	u.ip(u.beyond, "link set isp0 up\n link set isp1 up")
	return u
}

func (u *uplinks) sysctl(n *lab.Namespace, key, value string) {
	u.t.Helper()
	if err := n.Sysctl(key, value); err != nil {
		u.t.Fatal(err)
	}
}

func (u *uplinks) ip(n *lab.Namespace, lines string) {
	u.t.Helper()
	if err := n.IP(lines); err != nil {
		u.t.Fatal(err)
	}
}

// collector opens a collector in the router, and a listener for it.
func (u *uplinks) collector(
	f family, source netip.Addr, clock *fakeClock,
) (c *Collector, far *listener) {
	u.t.Helper()
	u.do(u.beyond, func() error {
		far = listen(u.t, netip.AddrPortFrom(netip.MustParseAddr(f.collector), 0).String())
		return nil
	})
	c = NewCollector(CollectorConfig{
		Address: far.address().String(), Protocol: IPFIX, Source: source,
	}, clock.now)
	u.do(u.router, func() error { return c.Open(u.t.Context()) })
	u.t.Cleanup(func() { c.Close(clock.now()) })
	return c, far
}

func (u *uplinks) do(n *lab.Namespace, f func() error) {
	u.t.Helper()
	if err := n.Do(f); err != nil {
		u.t.Fatal(err)
	}
}

// sendTemplates sends templates, and reports whether the collector then needs another socket.
func (u *uplinks) sendTemplates(c *Collector, clock *fakeClock) bool {
	u.t.Helper()
	clock.advance(DefaultTemplateInterval)
	u.do(u.router, func() error { c.beginMessage(clock.now()); c.send(clock.now()); return nil })
	return c.broken
}

// TestFailover moves the default route to another uplink, while the first one keeps its address.
// Datagrams come from the address of the uplink in use, or from the configured source.
func TestFailover(t *testing.T) {
	for name, f := range map[string]family{"IPv4": family4, "IPv6": family6} {
		t.Run(name, func(t *testing.T) {
			u, clock := newUplinks(t), newFakeClock()
			own0, own1 := netip.MustParseAddr(f.own0), netip.MustParseAddr(f.own1)
			u.ip(u.router, "route add default via "+f.via0)
			c, far := u.collector(f, netip.Addr{}, clock)
			pinned, _ := u.collector(f, own0, clock)
			if u.sendTemplates(c, clock) || u.sendTemplates(pinned, clock) {
				t.Error("another socket is wanted, though nothing has changed")
			}
			if _, from := far.receive(t); from.Addr() != own0 {
				t.Errorf("comes from %v, want %v", from, own0)
			}

			u.ip(u.router, "route delete default via "+f.via0)
			u.do(u.router, func() error {
				if c.socket.sourceChanged() {
					t.Error("another socket is wanted, though there is no way at all")
				}
				return nil
			})
			u.ip(u.router, "route add default via "+f.via1)
			if !u.sendTemplates(c, clock) || u.sendTemplates(pinned, clock) {
				t.Fatalf("another socket is wanted: %v, with a source %v", c.broken, pinned.broken)
			}
			u.do(u.router, func() error { // nobody else may send from there
				squatter := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
					return raw.Control(func(fd uintptr) { _ = sharePort(int(fd), 1) })
				}}
				if conn, err := squatter.ListenPacket(
					t.Context(), "udp", c.socket.local.String(),
				); err == nil {
					conn.Close()
					t.Error("the port is shared")
				}
				return nil
			})
			far.receive(t)
			u.do(u.router, func() error { return c.Open(t.Context()) })
			if u.sendTemplates(c, clock) {
				t.Error("another socket is wanted again")
			}
			if b, from := far.receive(t); from.Addr() != own1 || !hasTemplates(t, IPFIX, b) {
				t.Errorf("comes from %v, want %v", from, own1)
			}
		})
	}
}

// TestTwoRoutes: where ports decide between two uplinks, a socket keeps its source.
func TestTwoRoutes(t *testing.T) {
	u, clock := newUplinks(t), newFakeClock()
	u.sysctl(u.router, "net/ipv4/fib_multipath_hash_policy", "1")
	u.sysctl(u.router, "net/ipv6/fib_multipath_hash_policy", "1")
	for _, f := range []family{family4, family6} {
		u.ip(u.router, "route add default nexthop via "+f.via0+" nexthop via "+f.via1)
		used := map[netip.Addr]int{}
		for range 16 {
			c, _ := u.collector(f, netip.Addr{}, clock)
			for range 3 {
				if u.sendTemplates(c, clock) {
					t.Errorf("%v wants another socket", c.socket.local)
				}
			}
			used[c.socket.local.Addr()]++
		}
		if len(used) != 2 {
			t.Errorf("sockets at %v: a case that says nothing", used)
		}
	}
}
