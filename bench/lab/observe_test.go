package lab

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// observedCase is a connection and the interfaces that it passes.
type observedCase struct {
	host          *Namespace
	from, to      string
	port          uint16
	input, output uint32
}

// observedCases returns connections over all ways through the router.
func observedCases(l *Lab) []observedCase {
	const lan, wan, guest = 3, 4, 5
	return []observedCase{
		{l.Client, ClientIPv4, "203.0.113.9", PortTCP, lan, wan},
		{l.Client, ClientIPv6, "2001:db8:200::9", PortTCP, lan, wan},
		{l.Guest, GuestIPv4, "203.0.113.9", PortTCP, guest, wan},
		{l.Guest, GuestIPv6, "2001:db8:200::9", PortTCP, guest, wan},
		{l.Client, ClientIPv6, GuestIPv6, PortTCP, lan, guest},
		{l.Client, ClientIPv4, GuestIPv4, PortTCP, lan, guest},
		{l.Server, "203.0.113.9", RouterWANIPv4, PortForward, wan, lan},
		{l.Client, ClientIPv4, RouterLANIPv4, PortTCP, lan, 0},
		{l.Router, RouterWANIPv4, "203.0.113.9", PortTCP, 0, wan},
	}
}

// TestObservedEqualsConntrack compares what the rules count, by connection and
// direction, with conntrack's own counters, and the interfaces with where each host is.
func TestObservedEqualsConntrack(t *testing.T) {
	internet4 := netip.MustParseAddr("203.0.113.9")
	internet6 := netip.MustParseAddr("2001:db8:200::9")
	l := newLabWith(t, Options{Guest: true, Internet: []netip.Addr{internet4, internet6}})
	if err := l.Observe(); err != nil {
		t.Fatal(err)
	}
	routerLAN := netip.MustParseAddr(RouterLANIPv4)
	if err := l.Serve(l.Router, routerLAN); err != nil {
		t.Fatal(err)
	}
	cases := observedCases(l)
	for i := range cases {
		connectObserved(t, l, &cases[i])
	}
	if err := l.Freeze(); err != nil {
		t.Fatal(err)
	}
	got, want := map[Passage]Count{}, conntracked(t, l)
	for p, c := range observed(t, l) {
		p.Input, p.Output = 0, 0
		got[p] = got[p].plus(c)
	}
	if !maps.Equal(got, want) {
		t.Errorf("observed  %v\nconntrack %v", got, want)
	}
	if n := 2 * (3*len(cases) - 2); len(got) != n {
		t.Errorf("%d passages, want %d", len(got), n)
	}
	itself := &Ends{l.Router, routerLAN, netip.AddrPortFrom(routerLAN, PortTCP)}
	if _, err := l.TCP(testContext(t), TCPFlow{Family: unix.AF_INET, Ends: itself}); err != nil {
		t.Errorf("loopback traffic of a frozen router: %v", err)
	}
	checkFrozen(t, l)
}

// connectObserved makes a case's connection by TCP, and by UDP and ICMP where these are answered,
// and compares the interfaces of TCP.
func connectObserved(t *testing.T, l *Lab, c *observedCase) {
	t.Helper()
	ctx := testContext(t)
	from, to := netip.MustParseAddr(c.from), netip.MustParseAddr(c.to)
	ends := &Ends{c.host, from, netip.AddrPortFrom(to, c.port)}
	before := observed(t, l)
	tcp := TCPFlow{Family: familyOf(from), Up: 1000, Down: 90_000, Ends: ends}
	if _, err := l.TCP(ctx, tcp); err != nil {
		t.Fatal(err)
	}
	for p := range observed(t, l) {
		input, output := c.input, c.output
		if p.Reply {
			input, output = output, input
		}
		if _, old := before[p]; !old && (p.Input != input || p.Output != output) {
			t.Errorf("%s to %s: %+v, want input %d and output %d", c.from, c.to, p, input, output)
		}
	}
	if c.port != PortTCP {
		return
	}
	ends.To = netip.AddrPortFrom(to, PortAnswer)
	udp := UDPFlow{Family: familyOf(from), Packets: 3, Size: 100, Answered: true, Ends: ends}
	echo := EchoFlow{Family: familyOf(from), Packets: 2, Size: 60, Ends: ends}
	if err := errors.Join(l.UDP(ctx, udp), l.Echo(ctx, echo)); err != nil {
		t.Fatal(err)
	}
}

// checkFrozen checks that a frozen router forwards nothing.
func checkFrozen(t *testing.T, l *Lab) {
	t.Helper()
	before := observed(t, l)
	sendOne(t, l)
	await(t, "nothing was dropped", func() bool {
		dropped, err := readCounters(l.Router, frozenTable())
		return err != nil || dropped[frozenName].Packets > 0
	})
	if !maps.Equal(before, observed(t, l)) {
		t.Error("a frozen router forwards")
	}
}

// sendOne sends a datagram from the client to the server.
func sendOne(t *testing.T, l *Lab) {
	t.Helper()
	err := l.Client.Do(func() error {
		conn, err := net.Dial("udp", netip.AddrPortFrom(serverAddresses().v4, PortSilent).String())
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write([]byte("once"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func observed(t *testing.T, l *Lab) map[Passage]Count {
	t.Helper()
	all, err := l.Observed()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// conntracked returns conntrack's counters by the two real ends, but for loopback.
func conntracked(t *testing.T, l *Lab) map[Passage]Count {
	t.Helper()
	conn, err := conntrack.Dial(&netlink.Config{NetNS: l.Router.FD()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	entries, err := conn.Dump(nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[Passage]Count{}
	for i := range entries {
		e := &entries[i]
		opener, peer := e.TupleOrig, e.TupleReply
		if opener.IP.SourceAddress.IsLoopback() {
			continue
		}
		p := Passage{Proto: opener.Proto.Protocol}
		p.From = netip.AddrPortFrom(opener.IP.SourceAddress, 0)
		p.To = netip.AddrPortFrom(peer.IP.SourceAddress, 0)
		if hasPorts(p.Proto) {
			p.From = netip.AddrPortFrom(p.From.Addr(), opener.Proto.SourcePort)
			p.To = netip.AddrPortFrom(p.To.Addr(), peer.Proto.SourcePort)
		}
		all[p] = all[p].plus(Count{e.CountersOrig.Packets, e.CountersOrig.Bytes})
		p.From, p.To, p.Reply = p.To, p.From, true
		all[p] = all[p].plus(Count{e.CountersReply.Packets, e.CountersReply.Bytes})
	}
	return all
}
