package host

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"testing"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
)

// lan is the ifIndex of the tests' interface.
const lan = 3

func address(s string) *conntrack.Addr {
	a := conntrack.AddrFrom(netip.MustParseAddr(s))
	return &a
}

func entry(addr, mac string, state uint16) rtnetlink.NeighMessage {
	return entryOn(lan, netip.MustParseAddr(addr), mac, state)
}

func entryOn(index uint32, ip netip.Addr, mac string, state uint16) rtnetlink.NeighMessage {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		hw = nil
	}
	return rtnetlink.NeighMessage{
		Index: index, State: state, Attributes: &rtnetlink.NeighAttributes{Address: ip.AsSlice(),
			LLAddress: hw},
	}
}

// kernel is a table of neighbours and the notifications of its changes.
type kernel struct {
	now     conntrack.Timestamp
	table   []rtnetlink.NeighMessage
	err     error    // of reading the table
	pending [][]byte // notifications; nil is an overrun
	asked   int      // how often notifications were read
}

func newFake() (*Neighbours, *kernel) {
	k := &kernel{now: conntrack.Timestamp{Mono: int64(time.Hour)}}
	n := newNeighbours(func() conntrack.Timestamp { return k.now },
		func() ([]rtnetlink.NeighMessage, error) { return k.table, k.err })
	n.receive = k.receive
	return n, k
}

func (k *kernel) receive(b []byte) (int, error) {
	k.asked++
	if len(k.pending) == 0 {
		return 0, unix.EAGAIN
	}
	first := k.pending[0]
	if k.pending = k.pending[1:]; first == nil {
		return 0, unix.ENOBUFS
	}
	return copy(b, first), nil
}

// notify queues a notification.
func (k *kernel) notify(typ uint16, m rtnetlink.NeighMessage) {
	if m.Attributes.LLAddress == nil {
		m.Attributes.LLAddress = net.HardwareAddr{} // the encoder wants one
	}
	body, err := m.MarshalBinary()
	if err != nil {
		panic(err)
	}
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, make([]byte, 10)...)
	k.pending = append(k.pending, append(b, body...))
}

func (n *Neighbours) lookup(a string) MAC { return n.MAC(address(a), lan, n.clock().Mono+1) }

func TestAddressThatMovedWasTheFormerNeighboursBefore(t *testing.T) {
	n, k := newFake()
	notify := func(mac string, state uint16) {
		k.now.Mono += int64(time.Second)
		k.notify(unix.RTM_NEWNEIGH, entry("192.0.2.1", mac, state))
		n.drain()
	}
	first, second := MAC{2, 0, 0, 0, 0, 1}, MAC{2, 0, 0, 0, 0, 2}
	notify(first.String(), unix.NUD_REACHABLE)
	before := k.now.Mono
	notify(first.String(), unix.NUD_STALE)
	notify("", unix.NUD_FAILED)
	notify(second.String(), unix.NUD_REACHABLE)
	moved := k.now.Mono
	notify(second.String(), unix.NUD_STALE)
	for _, c := range []struct {
		at   int64
		want MAC
	}{
		{before - 1, first}, {before, first}, {moved - 1, first}, {moved, second},
		{k.now.Mono, second},
	} {
		if got := n.MACAt(address("192.0.2.1"), lan, c.at, k.now.Mono); got != c.want {
			t.Errorf("at %v: %v, want %v", time.Duration(c.at-moved), got, c.want)
		}
	}
}

func TestOnlyResolvedNeighboursHaveMAC(t *testing.T) {
	mac := MAC{2, 0, 0, 0, 0, 1}
	cases := []struct {
		name  string
		entry rtnetlink.NeighMessage
		of    string
		want  MAC
	}{
		{"reachable", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_REACHABLE), "192.0.2.1",
			mac},
		{"stale", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_STALE), "192.0.2.1", mac},
		{"permanent", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_PERMANENT), "192.0.2.1",
			mac},
		{"IPv6", entry("2001:db8::1", "02:00:00:00:00:01", unix.NUD_DELAY), "2001:db8::1", mac},
		{"another's", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_REACHABLE), "192.0.2.2",
			MAC{}},
		{"failed", entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_FAILED), "192.0.2.1", MAC{}},
		{"incomplete", entry("192.0.2.1", "", unix.NUD_INCOMPLETE), "192.0.2.1", MAC{}},
		{"multicast", entry("ff02::1", "33:33:00:00:00:01", unix.NUD_NOARP), "ff02::1", MAC{}},
		{"no address yet", entry("192.0.2.1", "00:00:00:00:00:00", unix.NUD_REACHABLE), "192.0.2.1",
			MAC{}},
		{"not Ethernet", entry("192.0.2.1", "02:00:00:00:00:01:02:03", unix.NUD_REACHABLE),
			"192.0.2.1", MAC{}},
		{"no attributes", rtnetlink.NeighMessage{State: unix.NUD_REACHABLE}, "192.0.2.1", MAC{}},
		{"a bridge's port", rtnetlink.NeighMessage{State: unix.NUD_REACHABLE,
			Attributes: &rtnetlink.NeighAttributes{LLAddress: mac[:]}},
			"192.0.2.1", MAC{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n, k := newFake()
			k.table = []rtnetlink.NeighMessage{c.entry}
			if err := n.read(); err != nil {
				t.Fatal(err)
			}
			if got := n.lookup(c.of); got != c.want {
				t.Errorf("read: %v, want %v", got, c.want)
			}
			if c.entry.Attributes == nil || c.entry.Attributes.Address == nil {
				return
			}
			n, k = newFake()
			k.notify(unix.RTM_NEWNEIGH, c.entry)
			if got := n.lookup(c.of); got != c.want {
				t.Errorf("notified: %v, want %v", got, c.want)
			}
		})
	}
}

// TestNeighbourIsRememberedForAnHour: one that left is remembered for an hour, one that changed its
// Ethernet address has the new one, and a failure changes nothing.
func TestNeighbourIsRememberedForAnHour(t *testing.T) {
	first, second := entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_REACHABLE),
		entry("192.0.2.1", "02:00:00:00:00:02", unix.NUD_REACHABLE)
	steps := []struct {
		after time.Duration
		typ   uint16
		entry rtnetlink.NeighMessage
		err   error
		want  MAC
	}{
		{0, 0, rtnetlink.NeighMessage{}, nil, MAC{}},
		{time.Minute, unix.RTM_NEWNEIGH, first, nil, MAC{2, 0, 0, 0, 0, 1}},
		{time.Minute, unix.RTM_NEWNEIGH, second, nil, MAC{2, 0, 0, 0, 0, 2}},
		{time.Minute, 0, rtnetlink.NeighMessage{}, errors.New("interrupted"),
			MAC{2, 0, 0, 0, 0, 2}},
		{time.Hour, 0, second, nil, MAC{2, 0, 0, 0, 0, 2}}, // it is still there
		{time.Minute, unix.RTM_DELNEIGH, second, nil, MAC{2, 0, 0, 0, 0, 2}},
		{58 * time.Minute, 0, rtnetlink.NeighMessage{}, nil, MAC{2, 0, 0, 0, 0, 2}},
		{3 * time.Minute, 0, rtnetlink.NeighMessage{}, nil, MAC{}},
	}
	for _, notified := range []bool{true, false} {
		n, k := newFake()
		for i, s := range steps {
			k.now.Mono += int64(s.after)
			k.table, k.err = nil, s.err
			if s.entry.Attributes != nil && s.typ != unix.RTM_DELNEIGH {
				k.table = []rtnetlink.NeighMessage{s.entry}
			}
			if notified && s.typ != 0 {
				k.notify(s.typ, s.entry)
				n.lookup("192.0.2.1")
			}
			if err := n.read(); !errors.Is(err, s.err) {
				t.Fatal(err)
			}
			if got := n.lookup("192.0.2.1"); got != s.want {
				t.Errorf("notified %t: step %d: %v, want %v", notified, i, got, s.want)
			}
		}
	}
}

// TestOneAddressBehindTwoInterfaces: the same address may exist on several interfaces.
func TestOneAddressBehindTwoInterfaces(t *testing.T) {
	n, k := newFake()
	ip, a := netip.MustParseAddr("192.0.2.1"), address("192.0.2.1")
	k.table = []rtnetlink.NeighMessage{entryOn(3, ip, "02:00:00:00:00:03", unix.NUD_REACHABLE)}
	if err := n.read(); err != nil {
		t.Fatal(err)
	}
	if got := n.MAC(a, 0, 0); got != (MAC{2, 0, 0, 0, 0, 3}) {
		t.Errorf("behind an unknown interface: %v", got)
	}
	if index, known := n.Interface(a); index != 3 || !known {
		t.Errorf("behind interface %d, %v", index, known)
	}
	k.notify(unix.RTM_NEWNEIGH, entryOn(4, ip, "02:00:00:00:00:04", unix.NUD_STALE))
	n.lookup("198.51.100.1")
	for index, want := range []MAC{{}, {}, {}, {2, 0, 0, 0, 0, 3}, {2, 0, 0, 0, 0, 4}, {}} {
		if got := n.MAC(a, uint32(index), 0); got != want {
			t.Errorf("behind interface %d: %v, want %v", index, got, want)
		}
	}
	if index, known := n.Interface(a); known {
		t.Errorf("behind two interfaces, but of them %d", index)
	}
}

// TestLostNotificationsCauseOneReading: after the kernel dropped some, all neighbours are read
// once.
func TestLostNotificationsCauseOneReading(t *testing.T) {
	n, k := newFake()
	k.pending = [][]byte{nil}
	k.table = []rtnetlink.NeighMessage{entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_STALE)}
	if n.lookup("192.0.2.1"); !n.missed {
		t.Fatal("not noticed")
	}
	if err := n.read(); err != nil || n.missed {
		t.Fatal(err, n.missed)
	}
	if got := n.lookup("192.0.2.1"); got == (MAC{}) {
		t.Error("not read")
	}
}

// TestMalformedNotificationsChangeNothing: what can't be decoded changes nothing and causes a
// reading of all.
func TestMalformedNotificationsChangeNothing(t *testing.T) {
	n, k := newFake()
	k.notify(unix.RTM_NEWNEIGH, entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_STALE))
	whole := k.pending[0]
	k.pending = nil
	for size := unix.SizeofNlMsghdr; size < len(whole); size++ {
		n.missed, k.pending = false, [][]byte{whole[:size]}
		if got := n.lookup("192.0.2.1"); got != (MAC{}) || !n.missed {
			t.Errorf("%d of %d B: %v, missed %t", size, len(whole), got, n.missed)
		}
	}
}

// TestUnknownNeighboursCostOneSystemCall: ends without a neighbour cost one system call for
// all records of a moment.
func TestUnknownNeighboursCostOneSystemCall(t *testing.T) {
	n, k := newFake()
	for range 100 {
		n.MAC(address("198.51.100.1"), lan, k.now.Mono)
	}
	if k.asked != 1 {
		t.Errorf("asked %d times", k.asked)
	}
}

// TestInventedNeighboursDoNotDisplaceRealOnes: somebody who makes up neighbours fills neither
// the memory nor the room for those that are there and talk, whether the kernel keeps the
// invented ones or not.
func TestInventedNeighboursDoNotDisplaceRealOnes(t *testing.T) {
	for _, deleted := range []bool{true, false} {
		n, k := newFake()
		for i := range byte(10) {
			k.notify(unix.RTM_NEWNEIGH, entryOn(lan, netip.AddrFrom4([4]byte{192, 0, 2, i}),
				"02:00:00:00:00:02", unix.NUD_REACHABLE))
		}
		if deleted { // one of them has left, and its connections go on
			k.notify(unix.RTM_DELNEIGH, entryOn(lan, netip.AddrFrom4([4]byte{192, 0, 2, 9}),
				"02:00:00:00:00:02", unix.NUD_STALE))
		}
		invented := netip.MustParseAddr("10.0.0.0")
		for i := range 100_000 {
			if i%500 == 0 {
				k.now.Mono += int64(time.Second)
				for real := range byte(10) { // that talk
					a := conntrack.AddrFrom(netip.AddrFrom4([4]byte{192, 0, 2, real}))
					if got := n.MAC(&a, lan, k.now.Mono); got != (MAC{2, 0, 0, 0, 0, 2}) {
						t.Fatalf("deleted %t: after %d made-up neighbours, %d is at %v", deleted, i,
							real, got)
					}
				}
			}
			k.notify(unix.RTM_NEWNEIGH, entryOn(lan, invented, "02:00:00:00:00:01", unix.NUD_STALE))
			if deleted {
				k.notify(unix.RTM_DELNEIGH,
					entryOn(lan, invented, "02:00:00:00:00:01", unix.NUD_STALE))
			}
			invented = invented.Next()
			n.lookup("198.51.100.1")
			if len(n.table.all) > most || len(n.table.first) > most {
				t.Fatalf("%d neighbours", len(n.table.all))
			}
		}
		k.now.Mono += int64(time.Second) // a new one finds room
		k.notify(unix.RTM_NEWNEIGH, entry("192.0.2.99", "02:00:00:00:00:03", unix.NUD_REACHABLE))
		if got := n.lookup("192.0.2.99"); got != (MAC{2, 0, 0, 0, 0, 3}) {
			t.Errorf("deleted %t: a new one is at %v", deleted, got)
		}
	}
}

func TestLookUpAllocatesNothing(t *testing.T) {
	n, k := newFake()
	k.table = []rtnetlink.NeighMessage{entry("192.0.2.1", "02:00:00:00:00:01", unix.NUD_REACHABLE)}
	if err := n.read(); err != nil {
		t.Fatal(err)
	}
	here, elsewhere := address("192.0.2.1"), address("198.51.100.1")
	allocs := testing.AllocsPerRun(100, func() {
		k.now.Mono++
		n.MAC(here, lan, k.now.Mono)
		n.MAC(elsewhere, lan, k.now.Mono)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestNeighboursOfRealRouter reads a router's tables, and learns of a new one by its notification.
func TestNeighboursOfRealRouter(t *testing.T) {
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
	if err := l.Router.Do(func() (err error) {
		n, err = OpenNeighbours(conntrack.SystemClock())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	for a, mac := range want {
		if got := n.MAC(address(a), 0, 0); got != mac || mac == (MAC{}) {
			t.Errorf("%s: %v, want %v", a, got, mac)
		}
	}
	for _, a := range []string{"192.168.77.99", "2001:db8:77::99"} {
		cmd := exec.Command("ip", "neigh", "add", a, "lladdr", "02:00:00:00:00:99", "dev", "lan0")
		if err := l.Router.Do(cmd.Run); err != nil {
			t.Fatal(err)
		}
		got := n.MAC(address(a), 0, conntrack.SystemClock()().Mono)
		if got != (MAC{2, 0, 0, 0, 0, 0x99}) {
			t.Errorf("%s: %v right after it came", a, got)
		}
	}
}

// TestVersionChangesWithKnownAddresses, and not with what tells nothing new.
func TestVersionChangesWithKnownAddresses(t *testing.T) {
	a := conntrack.AddrFrom(netip.MustParseAddr("192.168.1.10"))
	table := newTable()
	for i, step := range []struct {
		change func()
		new    bool
	}{
		{func() { table.set(a, 2, MAC{2, 1}, 1) }, true},
		{func() { table.set(a, 2, MAC{2, 1}, 2) }, false},
		{func() { table.leave(&a, 2, 3) }, false},
		{func() { table.set(a, 2, MAC{2, 2}, 4) }, true},
		{func() { table.set(a, 3, MAC{2, 2}, 5) }, true},
		{func() { table.endReading(6) }, false},
		{func() { table.endReading(7) }, false}, // they are gone now, but known
		{func() { table.endReading(8 + 2*int64(remembered)) }, true},
	} {
		before := table.version
		if step.change(); (table.version != before) != step.new {
			t.Errorf("step %d: from version %d to %d", i, before, table.version)
		}
	}
}
