package route

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// TestOneLookUpPerAddress: at most one, and none for an address that is routed as one
// that is known.
func TestOneLookUpPerAddress(t *testing.T) {
	cases := map[string]struct {
		setup     func(k *kernel)
		servers   int
		atMost    uint64 // look-ups
		unchanged bool
	}{
		"few routes": {func(*kernel) {}, 1000, 2, true},
		"every address by itself": {func(k *kernel) {
			for i := range mostEdges { // with an edge before and behind each
				k.objects[unix.RTM_GETROUTE] = append(k.objects[unix.RTM_GETROUTE],
					routeMessage(unix.RTM_NEWROUTE, fmt.Sprintf("10.%d.%d.%d", i>>15, byte(i>>7),
						byte(i<<1)), 32, 5))
			}
		}, 1000, 50 + 1000, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k := smallKernel()
			c.setup(k)
			l := k.open(t, Options{})
			events := internet(c.servers)
			for range 3 {
				for _, e := range events {
					if p := l.Path(e); p[0].Index() != 3 || p[1].Index() != 4 {
						t.Fatalf("path %v", p)
					}
				}
			}
			if n := l.Stats.Lookups.Load(); n > c.atMost || n != uint64(k.asked) {
				t.Errorf("%d look-ups counted, %d seen by the kernel, want at most %d", n, k.asked,
					c.atMost)
			}
			if hits := l.Stats.Hits.Load(); hits != uint64(3*2*c.servers)-l.Stats.Lookups.Load() {
				t.Errorf("%d hits, %d look-ups of %d questions", hits, l.Stats.Lookups.Load(),
					3*2*c.servers)
			}
		})
	}
}

// TestPathAllocatesNothing for a path, not even if the kernel has to be asked.
func TestPathAllocatesNothing(t *testing.T) {
	for name, setup := range map[string]string{"plain": "", "rules": rulesSetup,
		"hops": multipathSetup} {
		t.Run(name, func(t *testing.T) {
			r := newRouter(t, setup, Options{Mark: true})
			events := internet(100)
			for i, e := range events {
				e.Mark = uint32(i % 2)
			}
			round := func() {
				r.resolver.cache.clear()
				for range 2 {
					for _, e := range events {
						r.resolver.Path(e)
					}
				}
			}
			if n := testing.AllocsPerRun(20, round); n != 0 {
				t.Errorf("%v allocations for 200 paths", n)
			}
			if r.resolver.Stats.Lookups.Load() == 0 {
				t.Error("nothing was looked up")
			}
		})
	}
}

// TestUnreachableIsCached: no route is cached, too, except for the failure of one sender,
// which must not affect others of its class.
func TestUnreachableIsCached(t *testing.T) {
	k := smallKernel()
	k.route = func(to, from conntrack.Addr, in, _ uint32) (unix.Errno, uint8, uint32) {
		switch {
		case to == addr("192.0.2.9"):
			return unix.ENETUNREACH, 0, 0
		case to.Netip().Is4() && to[12] == 192 && to[13] == 168:
			return 0, unix.RTN_UNICAST, 3
		case from == addr("192.168.77.66"):
			return unix.EXDEV, 0, 0 // as the reverse path filter says
		case in == 3:
			return 0, unix.RTN_UNICAST, 5
		}
		return 0, unix.RTN_UNICAST, 4
	}
	rule := []byte{0: unix.AF_INET, 2: 16, 11: 0}
	n := addr("192.168.0.0")
	k.has(unix.RTM_GETRULE, encode(unix.RTM_NEWRULE, 0, 0, appendBytes(rule, unix.FRA_SRC, n[12:])))
	k.has(unix.RTM_GETROUTE, routeMessage(unix.RTM_NEWROUTE, "192.0.2.9", 32))
	l := k.open(t, Options{})
	for _, c := range []struct {
		from, to string
		want     uint32
	}{{"192.168.77.66", server, 4}, {client, server, 5}, {client, server, 5},
		{client, "192.0.2.9", 0}, {"192.0.2.7", "192.0.2.9", 0}, {"192.0.2.8", "192.0.2.9", 0}} {
		if p := l.Path(connection{from: c.from, to: c.to}.event()); p[1].Index() != c.want {
			t.Errorf("%s to %s by %d, want %d", c.from, c.to, p[1].Index(), c.want)
		}
	}
	// four of senders, which aren't remembered, and one of anybody
	if n := l.Stats.Unreachable.Load(); n != 5 {
		t.Errorf("%d look-ups without an answer", n)
	}
}

// TestMalformedAnswersAreNoRoutes: a malformed answer is no route, and the next question gets
// its own answer.
func TestMalformedAnswersAreNoRoutes(t *testing.T) {
	k := smallKernel()
	l := k.open(t, Options{})
	routes := l.fib.socket.(*requestSocket)
	bad := [][]byte{
		{1, 2, 3},
		encode(unix.RTM_NEWROUTE, 0, 1, nil),
		encode(unix.RTM_NEWROUTE, 0, 1, []byte{7: unix.RTN_UNICAST, 11: 0}),
		encode(unix.RTM_NEWROUTE, 0, 1, append([]byte{7: unix.RTN_UNICAST, 11: 0}, 6, 0,
			unix.RTA_OIF, 0, 1, 1)),
		encode(unix.RTM_NEWROUTE, 0, 1, append([]byte{7: unix.RTN_UNICAST, 11: 0}, 60, 0,
			unix.RTA_OIF, 0, 1, 1)),
		encode(unix.RTM_NEWADDR, 0, 1, make([]byte, 30)),
		encode(unix.NLMSG_ERROR, 0, 1, []byte{1}),
	}
	to := addr(server)
	for _, b := range bad {
		l.fib.seq = 0
		routes.answers = []any{b}
		if kind, _, _ := l.fib.lookUp(&query{to: &to}); kind == unicast {
			t.Errorf("%x is an answer", b)
		}
		routes.answers = nil
	}
	routes.answers = []any{encode(unix.RTM_NEWROUTE, 0, 4711,
		appendU32([]byte{7: unix.RTN_UNICAST, 11: 0}, unix.RTA_OIF, 99))}
	if kind, out, err := l.fib.lookUp(&query{to: &to}); kind != unicast || out != 4 || err != nil {
		t.Errorf("behind a late answer: %d, %d, %v", kind, out, err)
	}
}
