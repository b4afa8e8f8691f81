package host

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
)

func address(s string) *conntrack.Addr {
	a := conntrack.AddrFrom(netip.MustParseAddr(s))
	return &a
}

func entry(addr, mac string, state uint16) rtnetlink.NeighMessage {
	ip := netip.MustParseAddr(addr)
	hw, err := net.ParseMAC(mac)
	if err != nil {
		hw = nil
	}
	return rtnetlink.NeighMessage{State: state, Attributes: &rtnetlink.NeighAttributes{Address: ip.AsSlice(), LLAddress: hw}}
}

func TestWhoIsANeighbour(t *testing.T) {
	mac := MAC{2, 0, 0, 0, 0, 1}
	cases := []struct {
		name  string
		entry rtnetlink.NeighMessage
		of    string
		want  MAC
	}{
		{"reachable", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_REACHABLE), "192.0.2.1", mac},
		{"stale", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_STALE), "192.0.2.1", mac},
		{"permanent", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_PERMANENT), "192.0.2.1", mac},
		{"IPv6", entry("2001:db8::1", "02:00:00:00:00:01", unix.NUD_DELAY), "2001:db8::1", mac},
		{"another's", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_REACHABLE), "192.0.2.2", MAC{}},
		{"failed", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_FAILED), "192.0.2.1", MAC{}},
		{"incomplete", entry("192.0.2.1", "", unix.NUD_INCOMPLETE), "192.0.2.1", MAC{}},
		{"multicast", entry("ff02::1", "33:33:00:00:00:01", unix.NUD_NOARP), "ff02::1", MAC{}},
		{"no address yet", entry("192.0.2.1", "00:00:00:00:00:00", unix.NUD_REACHABLE), "192.0.2.1", MAC{}},
		{"not Ethernet", entry("192.0.2.1", "02:00:00:00:00:01:02:03", unix.NUD_REACHABLE), "192.0.2.1", MAC{}},
		{"no attributes", rtnetlink.NeighMessage{State: unix.NUD_REACHABLE}, "192.0.2.1", MAC{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := newNeighbours(conntrack.SystemClock(), func() ([]rtnetlink.NeighMessage, error) {
				return []rtnetlink.NeighMessage{c.entry}, nil
			})
			if err := n.read(); err != nil {
				t.Fatal(err)
			}
			if got := n.MAC(address(c.of)); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// TestRemembered: one that left is remembered for an hour, one that changed its
// Ethernet address has the new one, and a failure changes nothing.
func TestRemembered(t *testing.T) {
	var now conntrack.Timestamp
	var table []rtnetlink.NeighMessage
	var failure error
	n := newNeighbours(func() conntrack.Timestamp { return now }, func() ([]rtnetlink.NeighMessage, error) { return table, failure })
	steps := []struct {
		after time.Duration
		table []rtnetlink.NeighMessage
		err   error
		want  MAC
	}{
		{0, nil, nil, MAC{}},
		{time.Minute, []rtnetlink.NeighMessage{entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_REACHABLE)}, nil, MAC{2, 0, 0, 0, 0, 1}},
		{time.Minute, []rtnetlink.NeighMessage{entry("192.0.2.1", "02:00:00:00:00:02", unix.NUD_REACHABLE)}, nil, MAC{2, 0, 0, 0, 0, 2}},
		{time.Minute, nil, errors.New("interrupted"), MAC{2, 0, 0, 0, 0, 2}},
		{58 * time.Minute, nil, nil, MAC{2, 0, 0, 0, 0, 2}},
		{2 * time.Minute, nil, nil, MAC{}},
	}
	for i, s := range steps {
		now.Mono += int64(s.after)
		table, failure = s.table, s.err
		if err := n.read(); !errors.Is(err, s.err) {
			t.Fatal(err)
		}
		if got := n.MAC(address("192.0.2.1")); got != s.want {
			t.Errorf("step %d: %v, want %v", i, got, s.want)
		}
	}
}

// TestBounded: somebody who makes up neighbours fills neither the memory nor the room for
// those that are there.
func TestBounded(t *testing.T) {
	var now conntrack.Timestamp
	ip, there := netip.MustParseAddr("10.0.0.0"), "192.0.2.1"
	const perReading = 10_000
	n := newNeighbours(func() conntrack.Timestamp { return now }, func() ([]rtnetlink.NeighMessage, error) {
		all := make([]rtnetlink.NeighMessage, perReading)
		for i := range all {
			all[i] = entry(ip.String(), "02:00:00:00:00:01", unix.NUD_REACHABLE)
			ip = ip.Next()
		}
		return append(all, entry(there, "02:00:00:00:00:02", unix.NUD_REACHABLE)), nil
	})
	for i := range 20 {
		if i == 10 {
			there = "192.0.2.2" // one that comes and another that leaves
		}
		now.Mono += int64(readInterval)
		if err := n.read(); err != nil {
			t.Fatal(err)
		}
		if got := n.Stats.Known.Load(); got > most || got < perReading {
			t.Errorf("reading %d: %d are remembered, of at most %d", i, got, most)
		}
		if got, last := n.MAC(address(there)), n.MAC(address(ip.Prev().String())); got != (MAC{2, 0, 0, 0, 0, 2}) || last == (MAC{}) {
			t.Errorf("reading %d: %s is at %v, the last one at %v", i, there, got, last)
		}
	}
}

func TestLookUpAllocatesNothing(t *testing.T) {
	n := newNeighbours(conntrack.SystemClock(), func() ([]rtnetlink.NeighMessage, error) {
		return []rtnetlink.NeighMessage{entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_REACHABLE)}, nil
	})
	if err := n.read(); err != nil {
		t.Fatal(err)
	}
	a := address("192.0.2.1")
	if allocs := testing.AllocsPerRun(100, func() { n.MAC(a) }); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestRealNeighbours reads a router's tables.
func TestRealNeighbours(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	want := map[string]MAC{}
	for ns, addrs := range map[*lab.Namespace][]string{
		l.Client: {lab.ClientIPv4, lab.ClientIPv6}, l.Server: {lab.ServerIPv4, lab.ServerIPv6},
	} {
		err := ns.Do(func() error {
			eth0, err := net.InterfaceByName("eth0")
			for _, a := range addrs {
				want[a] = MAC(eth0.HardwareAddr)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	var n *Neighbours
	if err := l.Router.Do(func() (err error) { n, err = OpenNeighbours(conntrack.SystemClock()); return err }); err != nil {
		t.Fatal(err)
	}
	for a, mac := range want {
		if got := n.MAC(address(a)); got != mac || mac == (MAC{}) {
			t.Errorf("%s: %v, want %v", a, got, mac)
		}
	}
}
