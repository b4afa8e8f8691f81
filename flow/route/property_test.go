package route

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// TestCachedAnswerIsTheKernels: whatever routes and rules there are, and in whatever order
// addresses of all kinds are asked for, a remembered answer is what the kernel says.
func TestCachedAnswerIsTheKernels(t *testing.T) {
	tables, perTable := 100, 100
	if testing.Short() {
		tables = 15
	}
	r := newNamespace(t)
	r.ip(routerSetup + "address add fe80::1:1/64 dev lan0 nodad\n")
	r.awaitLocal("2001:db8:77::1", "2001:db8:100::1", "2001:db8:200::1")
	for _, key := range []string{"all", "default", "lan0", "wan1", "wan2"} {
		if err := r.Sysctl("net/ipv4/conf/"+key+"/rp_filter", "0"); err != nil {
			t.Fatal(err)
		}
	}
	kernel := r.dialKernel()
	for table := range tables {
		t.Run(fmt.Sprint(table), func(t *testing.T) {
			r := &router{Namespace: r.Namespace, t: t}
			g := &routeTable{rnd: rand.New(rand.NewPCG(uint64(table), 11))}
			r.ip(g.change(12))
			r.open(Options{})
			o := &oracle{router: r, kernel: kernel, table: g}
			o.compare(perTable / 2)
			r.ip(g.change(4)) // while the answers are in use
			r.settle()
			o.compare(perTable / 2)
			r.ip(g.undo())
			if t.Failed() {
				t.Log(g.lines)
			}
		})
	}
}

// routeTable makes random routes and rules, and random addresses in and around them.
type routeTable struct {
	rnd      *rand.Rand
	lines    string
	remove   []string
	networks []netip.Prefix
	defaults int
	asked    []netip.Addr
}

func pick[T any](rnd *rand.Rand, all ...T) T { return all[rnd.IntN(len(all))] }

// network returns one that lies in, around or beside others.
func (g *routeTable) network(v6 bool) netip.Prefix {
	base, bits := "10.0.0.0", 8+g.rnd.IntN(25)
	if v6 {
		base, bits = "2001:db8:a000::", 33+g.rnd.IntN(96)
	}
	a := netip.MustParseAddr(base).AsSlice()
	for i := len(a) / 4; i < len(a); i++ {
		a[i] = pick[byte](g.rnd, 0, 0, 1, 128, 255)
	}
	ip, _ := netip.AddrFromSlice(a)
	return netip.PrefixFrom(ip, bits).Masked()
}

// change returns lines for ip(8): n routes or rules.
func (g *routeTable) change(n int) string {
	var lines []string
	add := func(family, what, line string) {
		lines = append(lines, family+what+" add "+line)
		g.remove = append(g.remove, family+what+" delete "+line)
	}
	for range n {
		v6 := g.rnd.IntN(2) == 0
		family := pick(g.rnd, "-4 ", "")
		if v6 {
			family = "-6 "
		}
		p := g.network(v6)
		dev := pick(g.rnd, "lan0", "wan1", "wan2")
		metric := fmt.Sprint(" metric ", 100+len(g.remove)) // so that each is another one
		switch g.rnd.IntN(9) {
		case 0, 1, 2:
			add(family, "route", p.String()+" dev "+dev+metric)
		case 3:
			add(family, "route", pick(g.rnd, "unreachable ", "blackhole ", "prohibit ",
				"throw ")+p.String()+metric)
		case 4:
			add(family, "route", p.String()+" dev "+dev+" table 2"+metric)
		case 5:
			if g.defaults++; g.defaults < 10 {
				add(family, "route",
					"default dev "+dev+pick(g.rnd, "", " table 2")+fmt.Sprint(" metric ",
						g.defaults))
			}
		case 6:
			if !v6 {
				add(family, "route",
					pick(g.rnd, "224.0.0.0/4", "239.1.0.0/16", "broadcast 10.1.1.255")+" dev "+
						dev+metric)
				break
			}
			add(family, "route", p.String()+" from "+g.network(true).String()+" dev "+dev+metric)
		default:
			by := pick(g.rnd, "from "+p.String(), "to "+p.String(), "iif "+dev, "iif lo",
				"from "+p.String()+" iif "+dev)
			add(family, "rule", by+pick(g.rnd, " lookup 2", " lookup 2 suppress_prefixlength 0",
				" blackhole", " goto 32766")+fmt.Sprint(" pref ", 1000+len(g.remove)))
		}
		g.networks = append(g.networks, p)
	}
	text := strings.Join(lines, "\n") + "\n"
	g.lines += text
	return text
}

func (g *routeTable) undo() string { return strings.Join(g.remove, "\n") + "\n" }

// address returns one of any kind, or one that was asked for before.
func (g *routeTable) address() netip.Addr {
	if len(g.asked) > 0 && g.rnd.IntN(3) == 0 {
		return pick(g.rnd, g.asked...)
	}
	g.asked = append(g.asked, g.newAddress())
	return g.asked[len(g.asked)-1]
}

func (g *routeTable) newAddress() netip.Addr {
	switch g.rnd.IntN(4) {
	case 0:
		return netip.MustParseAddr(pick(g.rnd,
			"224.0.0.251", "239.255.255.250", "239.1.2.3", "255.255.255.255", "0.0.0.0", "0.1.2.3",
			"127.0.0.1", "127.9.9.9",
			"192.168.77.255", "192.168.77.0", "192.168.77.1", "198.51.100.1", "198.51.100.255",
			"10.1.1.255", "240.0.0.1", "169.254.1.1",
			"ff02::fb", "ff0e::1234", "ff02::1:ff00:1", "::", "::1", "fe80::9", "fe80::1:1",
			"2001:db8:77::1", "2001:db8:77::"))
	case 1:
		return netip.MustParseAddr(pick(g.rnd, "192.168.77.10", "192.168.77.200", "203.0.113.9",
			"198.51.100.77",
			"1.1.1.1", "223.255.255.255", "2001:db8:77::10", "2001:db8:100::9", "2606:4700::1111",
			"3fff::1", "2000::1", "64:ff9b::1"))
	}
	p := pick(g.rnd, g.networks...)
	first := p.Addr()
	last := first.AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	a := pick(g.rnd, first, first.Prev(), first.Next(), end, end.Prev(), end.Next())
	if a.IsValid() {
		return a
	}
	return first
}

// oracle compares what a Resolver remembers with the kernel.
type oracle struct {
	*router
	kernel   *netlink.Conn
	uncached *Resolver
	table    *routeTable
}

func (o *oracle) compare(n int) {
	o.uncached = o.router.uncached()
	for range n {
		to := o.table.address()
		from := o.table.address()
		for from.Is4() != to.Is4() {
			from = o.table.address()
		}
		o.comparePath(connection{from: from.String(), to: to.String()})
		if addr := conntrack.AddrFrom(to); !addr.IsGroup() && !addr.IsUnspecified() {
			o.compareAnswer(to, netip.Addr{}, 0)
			in := pick(o.table.rnd, uint32(3), 4, 5)
			if o.resolver.seen.bySender {
				o.compareAnswer(to, from, in)
			}
		}
	}
}

// comparePath compares a path with that of a Resolver that caches nothing.
func (o *oracle) comparePath(c connection) {
	o.uncached.cache.clear()
	if got, want := o.resolver.Path(c.event()), o.uncached.Path(c.event()); got != want {
		o.t.Errorf("%s to %s: %v, without a cache %v", c.from, c.to, names(got), names(want))
	}
}

func names(p flow.Path) [2]uint32 { return [2]uint32{p[0].Index(), p[1].Index()} }

// compareAnswer compares an answer with that to a question of the test's own.
func (o *oracle) compareAnswer(to, from netip.Addr, in uint32) {
	v := o.resolver.seen
	addr := conntrack.AddrFrom(to)
	var destination, source end
	destination.at(&addr, v)
	sender := (*end)(nil)
	if from.IsValid() {
		a := conntrack.AddrFrom(from)
		if a.IsGroup() || a.IsUnspecified() {
			return
		}
		source.at(&a, v)
		sender = &source
	}
	got := o.resolver.ask(&destination, sender, question{in: in})
	kind, out := o.ask(to, from, in)
	if got.kind != kind || kind == unicast && got.hop.Index() != out {
		o.t.Errorf("to %s from %s by %d: kind %d by %d, the kernel says %d by %d", to, from, in,
			got.kind, got.hop.Index(), kind, out)
	}
}

func (r *router) dialKernel() *netlink.Conn {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{NetNS: r.FD()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	return conn
}

// ask asks the kernel for a route, as `ip route get` does.
func (o *oracle) ask(to, from netip.Addr, in uint32) (kind, uint32) {
	family := uint8(unix.AF_INET)
	if to.Is6() {
		family = unix.AF_INET6
	}
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[1] = family, uint8(to.BitLen())
	a := netlink.NewAttributeEncoder()
	a.Bytes(unix.RTA_DST, to.AsSlice())
	if from.IsValid() {
		head[2] = uint8(from.BitLen())
		a.Bytes(unix.RTA_SRC, from.AsSlice())
	}
	if in != 0 {
		a.Uint32(unix.RTA_IIF, in)
	}
	attributes, err := a.Encode()
	if err != nil {
		o.t.Fatal(err)
	}
	answers, err := o.kernel.Execute(netlink.Message{
		Header: netlink.Header{Type: unix.RTM_GETROUTE, Flags: netlink.Request},
		Data:   append(head, attributes...),
	})
	if err != nil {
		return nowhere, 0
	}
	out := uint32(0)
	body := answers[0].Data
	d, err := netlink.NewAttributeDecoder(body[unix.SizeofRtMsg:])
	if err != nil {
		o.t.Fatal(err)
	}
	for d.Next() {
		if d.Type() == unix.RTA_OIF {
			out = binary.NativeEndian.Uint32(d.Bytes())
		}
	}
	switch body[7] {
	case unix.RTN_UNICAST:
		return unicast, out
	case unix.RTN_LOCAL, unix.RTN_ANYCAST:
		return local, 0
	case unix.RTN_BROADCAST, unix.RTN_MULTICAST:
		return group, 0
	}
	return nowhere, 0
}

// uncached returns a Resolver that knows the same as the router's.
func (r *router) uncached() *Resolver {
	u := &Resolver{fib: r.resolver.fib, cache: newCache()}
	u.view.Store(r.resolver.view.Load())
	return u
}
