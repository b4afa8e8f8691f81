package export

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// narrow is a lab whose client exports to its server.
type narrow struct {
	*lab.Lab
	t *testing.T
}

func newNarrow(t *testing.T) *narrow {
	t.Helper()
	l := labtest.New(t, lab.Options{})
	return &narrow{l, t}
}

// link sets the MTU of an interface of n, as "ip link set" does.
func (l *narrow) link(n *lab.Namespace, name string, mtu int) {
	l.t.Helper()
	l.netlink(n, func(conn *rtnetlink.Conn) error {
		links, err := conn.Link.List()
		for i := range links {
			if links[i].Attributes.Name == name {
				return conn.Link.Set(&rtnetlink.LinkMessage{
					Index: links[i].Index, Attributes: &rtnetlink.LinkAttributes{MTU: uint32(mtu)},
				})
			}
		}
		return err
	})
}

// route sets the MTU of the client's route to the server, as "ip route add ... mtu".
func (l *narrow) route(to netip.Addr, mtu int) {
	l.t.Helper()
	via, family, bits := lab.RouterLANIPv4, uint8(unix.AF_INET), uint8(32)
	if to.Is6() {
		via, family, bits = lab.RouterLANIPv6, unix.AF_INET6, 128
	}
	l.netlink(l.Client, func(conn *rtnetlink.Conn) error {
		return conn.Route.Replace(&rtnetlink.RouteMessage{
			Family: family, DstLength: bits, Table: unix.RT_TABLE_MAIN,
			Protocol: unix.RTPROT_STATIC, Type: unix.RTN_UNICAST,
			Attributes: rtnetlink.RouteAttributes{
				Dst: to.AsSlice(), Gateway: netip.MustParseAddr(via).AsSlice(),
				Metrics: &rtnetlink.RouteMetrics{MTU: uint32(mtu)},
			},
		})
	})
}

func (l *narrow) netlink(n *lab.Namespace, do func(*rtnetlink.Conn) error) {
	l.t.Helper()
	conn, err := rtnetlink.Dial(&netlink.Config{NetNS: n.FD()})
	if err != nil {
		l.t.Fatal(err)
	}
	defer conn.Close()
	if err := do(conn); err != nil {
		l.t.Fatal(err)
	}
}

// collector returns a collector in the client that exports to a listener in the server.
func (l *narrow) collector(p Protocol, server string, clock *fakeClock) (*Collector, *listener) {
	l.t.Helper()
	var far *listener
	err := l.Server.Do(func() error {
		far = listen(l.t, netip.AddrPortFrom(netip.MustParseAddr(server), 0).String())
		return far.SetReadBuffer(4 << 20)
	})
	if err != nil {
		l.t.Fatal(err)
	}
	source := map[string]string{
		lab.ServerIPv4: lab.ClientIPv4, lab.ServerIPv6: lab.ClientIPv6,
	}[server]
	target := CollectorConfig{
		Address: far.address().String(), Protocol: p, Source: netip.MustParseAddr(source),
	}
	c := NewCollector(target, clock.now)
	if err := l.Client.Do(func() error { return c.Open(l.t.Context()) }); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { c.Close(clock.now()) })
	return c, far
}

// narrowPath is a path that carries less than the datagrams that the configuration allows.
type narrowPath struct {
	server   string
	mtu      int
	where    string
	limit    uint64 // of UDP payload
	tooLarge bool   // a link on the path refuses a datagram
}

// TestRecordsCrossNarrowPath proves that all records arrive, and that after the first moments no
// datagram is fragmented.
func TestRecordsCrossNarrowPath(t *testing.T) {
	cases := []narrowPath{
		{lab.ServerIPv4, 1500, "link", DefaultMessageSize, false},
		{lab.ServerIPv4, 1420, "own link", 1392, false},
		{lab.ServerIPv4, 1280, "route", 1252, false},
		{lab.ServerIPv4, 1000, "route", 972, false},
		{lab.ServerIPv4, 576, "route", 548, false},
		{lab.ServerIPv4, 1400, "link", 1372, true},
		{lab.ServerIPv4, 1280, "link", 1252, true},
		{lab.ServerIPv4, 1000, "link", 972, true},
		{lab.ServerIPv4, 576, "link", 548, true},
		{lab.ServerIPv6, 1280, "route", 1232, false},
		{lab.ServerIPv6, 1280, "link", 1232, false},
	}
	for _, c := range cases {
		for _, p := range protocols {
			name := fmt.Sprint(p, " ", c.server, " ", c.where, " ", c.mtu)
			t.Run(name, func(t *testing.T) { testNarrowPath(t, c, p) })
		}
	}
}

func testNarrowPath(t *testing.T, c narrowPath, p Protocol) {
	l := newNarrow(t)
	switch c.where {
	case "link":
		l.link(l.Router, string(lab.WAN), c.mtu)
	case "own link":
		l.link(l.Client, "eth0", c.mtu)
	case "route":
		l.route(netip.MustParseAddr(c.server), c.mtu)
	}
	clock := newFakeClock()
	collector, far := l.collector(p, c.server, clock)
	e := &Exporter{Collectors: []*Collector{collector}}
	records := l.exportBurst(e, clock)
	if c.tooLarge {
		l.awaitMTU(collector, c.mtu)
	}
	drive(t, e, clock, 5*time.Second)
	early := collector.Stats.Messages.Load() - collector.Stats.TooLarge.Load()
	records = append(records, l.exportBurst(e, clock)...)
	e.Close(clock.now())

	s := &collector.Stats
	for range s.Messages.Load() - s.TooLarge.Load() {
		far.receive(t)
	}
	messages := far.messages
	allThere(t, messages, wantFlows(p, uint32(p), records))
	for _, b := range messages[early:] {
		if uint64(len(b)) > c.limit {
			t.Errorf("%d octets where %d get through", len(b), c.limit)
		}
	}
	if s.Limit.Load() != c.limit || (s.TooLarge.Load() > 0) != c.tooLarge ||
		s.SendErrors.Load() > 0 {
		t.Errorf("limit %d, want %d; %d too large; %d errors",
			s.Limit.Load(), c.limit, s.TooLarge.Load(), s.SendErrors.Load())
	}
}

// exportBurst exports as many records at once as a dump may.
func (l *narrow) exportBurst(e *Exporter, clock *fakeClock) []flow.Record {
	records := mixed(rand.New(rand.NewPCG(uint64(clock.at.Mono), 9)), 500, clock.at.Wall)
	for i := range records {
		exportAllNow(e, &records[i])
	}
	e.Flush(clock.now())
	return records
}

// awaitMTU waits until the kernel knows the path MTU.
func (l *narrow) awaitMTU(c *Collector, mtu int) {
	l.t.Helper()
	await(l.t, func() bool {
		known, err := c.socket.mtu()
		return err == nil && known <= mtu
	})
}

// allThere wants each flow once, in any order.
func allThere(t *testing.T, messages [][]byte, want []decode.Flow) {
	t.Helper()
	left := map[decode.Flow]int{}
	for _, f := range want {
		left[f]++
	}
	d := decode.New(decode.Options{})
	for _, b := range messages {
		m, err := d.Decode(b, exporterAddress)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m.Flows {
			left[f]--
		}
	}
	for f, n := range left {
		if n != 0 {
			t.Errorf("%d times too few: %+v", n, f)
		}
	}
}

// TestPathGrows proves that datagrams grow again with the path MTU, up to the configured size.
func TestPathGrows(t *testing.T) {
	l, clock := newNarrow(t), newFakeClock()
	to := netip.MustParseAddr(lab.ServerIPv4)
	l.route(to, 1000)
	c, _ := l.collector(IPFIX, lab.ServerIPv4, clock)
	e := &Exporter{Collectors: []*Collector{c}}
	for _, step := range []struct {
		mtu  int
		want uint64
	}{{1000, 972}, {1500, DefaultMessageSize}, {700, 672}} {
		l.route(to, step.mtu)
		l.exportBurst(e, clock)
		drive(t, e, clock, 2*DefaultTemplateInterval)
		if n := c.Stats.Limit.Load(); n != step.want {
			t.Errorf("MTU %d: limit %d, want %d", step.mtu, n, step.want)
		}
	}
}

// TestUnsentTrialIsCounted proves that a datagram which was too large, and which can't be sent
// again in fragments, is counted with its records, even if many were sent after it.
func TestUnsentTrialIsCounted(t *testing.T) {
	for _, tc := range []struct {
		name  string
		later uint64 // datagrams after the trial
		want  error
		block func(*narrow, uint16)
	}{
		{"firewall", 0, unix.EPERM, blockPort},
		{"firewall, many later", 300, unix.EPERM, blockPort},
		{"route", 0, unix.EHOSTUNREACH, func(l *narrow, _ uint16) {
			if err := l.Client.IP("route replace unreachable " + lab.ServerIPv4); err != nil {
				l.t.Fatal(err)
			}
		}},
	} {
		for _, p := range protocols {
			t.Run(fmt.Sprint(p, " ", tc.name), func(t *testing.T) {
				l, clock := newNarrow(t), newFakeClock()
				c, far := l.collector(p, lab.ServerIPv4, clock)
				e, s := &Exporter{Collectors: []*Collector{c}}, &c.Stats
				loseTrials(l)
				for l.exportBurst(e, clock); s.Messages.Load() <= tc.later; {
					l.exportBurst(e, clock)
				}
				l.route(netip.MustParseAddr(lab.ServerIPv4), 1280)
				l.exportBurst(e, clock) // the socket learns it by sending
				l.awaitMTU(c, 1280)
				tc.block(l, c.socket.remote.Port())
				clock.advance(trialTime)
				e.Tick(t.Context(), clock.now())

				arrived, d := uint64(0), decode.New(decode.Options{})
				for range s.Messages.Load() - 1 {
					b, _ := far.receive(t)
					m, err := d.Decode(b, exporterAddress)
					if err != nil {
						t.Fatal(err)
					}
					arrived += uint64(len(m.Flows))
				}
				if s.TooLarge.Load() != 1 || s.SendErrors.Load() != 1 || s.LostOctets.Load() == 0 ||
					s.LostFlows.Load() != s.Flows.Load()-arrived ||
					s.Dropped.Load() != s.LostFlows.Load() {
					t.Errorf("%d too large, %d errors; %d flows of %d arrived, %d lost (%d octets)",
						s.TooLarge.Load(), s.SendErrors.Load(), arrived, s.Flows.Load(),
						s.LostFlows.Load(), s.LostOctets.Load())
				}
				if err := c.Failure(clock.now()); !errors.Is(err, tc.want) {
					t.Errorf("fails with %v, want %v", err, tc.want)
				}
			})
		}
	}
}

// TestTrialIsSentAgainAtClose proves that a datagram which was too large arrives in fragments, even
// if nothing has read the ICMP error yet: it is the error of the next send.
func TestTrialIsSentAgainAtClose(t *testing.T) {
	l, clock := newNarrow(t), newFakeClock()
	l.link(l.Router, string(lab.WAN), minPayload4+headers4)
	c, far := l.collector(IPFIX, lab.ServerIPv4, clock)
	r := sample(0, clock.at.Wall)
	exportNow(c, &r)
	c.send(clock.now())
	const records = 15
	for range records {
		exportNow(c, &r)
	}
	c.send(clock.now())
	l.awaitMTU(c, minPayload4+headers4)
	c.Close(clock.now())
	if s := &c.Stats; s.TooLarge.Load() != 1 || s.SendErrors.Load() != 0 || s.Messages.Load() != 3 {
		t.Fatalf("%d too large, %d errors, %d datagrams",
			s.TooLarge.Load(), s.SendErrors.Load(), s.Messages.Load())
	}
	for range 2 { // of the three, the one on trial is lost
		far.receive(t)
	}
	if n := len(flowsIn(t, far.messages)); n != 1+records {
		t.Errorf("%d flows of %d arrived", n, 1+records)
	}
}

// TestTrialProvesNothingWithoutARoute: the kernel knows no path MTU then.
func TestTrialProvesNothingWithoutARoute(t *testing.T) {
	l, clock := newNarrow(t), newFakeClock()
	c, _ := l.collector(IPFIX, lab.ServerIPv4, clock)
	r := sample(0, clock.at.Wall)
	exportNow(c, &r)
	c.send(clock.now())
	for range 15 {
		exportNow(c, &r)
	}
	c.send(clock.now())
	if len(c.path.trial) == 0 {
		t.Fatal("nothing is on trial")
	}
	proven := c.path.proven
	if err := l.Client.IP("route delete default"); err != nil {
		t.Fatal(err)
	}
	if err := c.socket.send(c.message); !errors.Is(err, unix.ENETUNREACH) {
		t.Fatalf("sent without a route: %v", err)
	}
	c.endTrial(clock.now())
	if c.path.proven != proven || len(c.path.trial) > 0 {
		t.Errorf("%d octets are proven, %d before; %d on trial", c.path.proven, proven,
			len(c.path.trial))
	}
}

// loseTrials has the router drop what must not be fragmented, without an ICMP error, which might
// come during a burst.
func loseTrials(l *narrow) {
	tool(l.t, l.Router, `table ip hole {
		chain forward { type filter hook forward priority 0; ip frag-off & 0x4000 != 0 drop; }
	}`, "nft", "-f", "-")
}

// blockPort has the client's firewall drop what is sent to a port: the send fails.
func blockPort(l *narrow, port uint16) {
	tool(l.t, l.Client, fmt.Sprintf(`table inet wall {
		chain output { type filter hook output priority 0; udp dport %d drop; }
	}`, port), "nft", "-f", "-")
}
