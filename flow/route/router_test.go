package route

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// testTime bounds every wait; none is expected to take this long.
const testTime = 20 * time.Second

// router is a real one, in a network namespace of its own, with a LAN and two
// uplinks of which the first has the better default route.
type router struct {
	*lab.Namespace
	t        testing.TB
	resolver *Resolver
}

const routerSetup = `
link set lo up
link add lan0 index 3 type ifb
link add wan1 index 4 type ifb
link add wan2 index 5 type ifb
link set lan0 up
link set wan1 up
link set wan2 up
address add 192.168.77.1/24 dev lan0
address add 198.51.100.1/24 dev wan1
address add 203.0.113.1/24 dev wan2
route add default via 198.51.100.254 dev wan1 metric 10
route add default via 203.0.113.254 dev wan2 metric 20
address add 2001:db8:77::1/64 dev lan0 nodad
address add 2001:db8:100::1/64 dev wan1 nodad
address add 2001:db8:200::1/64 dev wan2 nodad
route add default via 2001:db8:100::fe dev wan1 metric 10
route add default via 2001:db8:200::fe dev wan2 metric 20
`

func newRouter(t testing.TB, setup string, o Options) *router {
	t.Helper()
	r := newNamespace(t)
	r.ip(routerSetup + setup)
	r.awaitLocal("2001:db8:77::1", "2001:db8:100::1", "2001:db8:200::1")
	r.open(o)
	return r
}

func newNamespace(t testing.TB) *router {
	t.Helper()
	r := &router{Namespace: labtest.NewNamespace(t), t: t}
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		if err := r.Sysctl(key, "1"); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// open opens the Resolver in the router.
func (r *router) open(o Options) {
	r.t.Helper()
	o.Clock = conntrack.SystemClock()
	err := r.Do(func() (err error) { r.resolver, err = Open(o); return err })
	if err != nil {
		r.t.Fatal(err)
	}
	resolver := r.resolver
	r.t.Cleanup(func() {
		if err := resolver.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

// ip runs lines of ip(8) in the router.
func (r *router) ip(lines string) {
	r.t.Helper()
	err := r.IP(lines)
	if errors.Is(err, lab.ErrNoDevice) {
		r.t.Skip(err)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// awaitLocal waits until IPv6 addresses have routes, which the kernel adds from a
// work queue.
func (r *router) awaitLocal(addresses ...string) {
	r.t.Helper()
	var s *socket
	if err := r.Do(func() (err error) { s, err = openSocket(0); return err }); err != nil {
		r.t.Fatal(err)
	}
	defer s.Close()
	own := newFIB(s, nil)
	for _, a := range addresses {
		to := addr(a)
		r.await(a+" has no route", func() bool {
			kind, _, err := own.lookUp(&query{to: &to})
			return err == nil && kind == local
		})
	}
}

// settle waits until the Resolver has seen what was done so far: a marker, an ifb
// interface that is made for this alone.
func (r *router) settle() {
	r.t.Helper()
	marker := fmt.Sprintf("marker%d", time.Now().UnixNano()%1e6)
	r.ip("link add " + marker + " type ifb")
	r.await(marker+" never came", func() bool { _, ok := r.resolver.Index(marker); return ok })
	r.ip("link delete " + marker)
	r.await(marker+" never went", func() bool { _, ok := r.resolver.Index(marker); return !ok })
}

func (r *router) await(otherwise string, holds func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(testTime); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatal(otherwise)
		}
	}
}

// connection is a connection in the notation of these tests: who opened it to whom, and the
// addresses after translation.
type connection struct {
	from, to string
	as       string // the source after SNAT
	server   string // the destination after DNAT
	mark     uint32
}

func (c connection) event() *conntrack.Event {
	e := &conntrack.Event{Mark: c.mark}
	from, to := addr(c.from), addr(c.to)
	as, server := from, to
	if c.as != "" {
		as = addr(c.as)
	}
	if c.server != "" {
		server = addr(c.server)
	}
	e.Orig = conntrack.Tuple{Src: from, Dst: to, Family: unix.AF_INET}
	e.Reply = conntrack.Tuple{Src: server, Dst: as, Family: unix.AF_INET}
	return e
}

func addr(s string) conntrack.Addr { return conntrack.AddrFrom(netip.MustParseAddr(s)) }

// path returns the names of the interfaces by which a connection comes in and
// leaves; the router itself is "".
func (r *router) path(c connection) [2]string {
	p := r.resolver.Path(c.event())
	return [2]string{r.resolver.Name(p[0].Index()), r.resolver.Name(p[1].Index())}
}

// route returns a connection's path as "lan0 > wan1".
func (r *router) route(c connection) string {
	p := r.path(c)
	return strings.TrimSpace(p[0] + " > " + p[1])
}

// goes compares a connection's path with the expected one, such as "lan0 > wan1".
func (r *router) goes(c connection, want string) {
	r.t.Helper()
	if got := r.route(c); got != want {
		r.t.Errorf("%+v goes %q, want %q", c, got, want)
	}
}

var _ flow.RouteResolver = (*Resolver)(nil)
