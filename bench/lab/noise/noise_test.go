package noise

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
)

var internet = netip.MustParseAddr("203.0.113.9")

const (
	testTime      = 30 * time.Second
	drawn         = 12 // events of each kind: each variant comes
	lan, wan, dmz = 3, 4, 5
)

func newSource(t *testing.T, seed uint64) (*lab.Lab, *Source) {
	t.Helper()
	l := labtest.New(t, lab.Options{Guest: true, Internet: []netip.Addr{internet}})
	if err := l.Observe(); err != nil {
		t.Fatal(err)
	}
	s, err := New(l, internet, seed)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, s
}

// TestRulesDivertNothing proves that no rule of the noise is the namespace's first, which
// splits the table of local addresses from the main one under the packets' feet.
func TestRulesDivertNothing(t *testing.T) {
	t.Parallel()
	l, _ := newSource(t, 0)
	var tables []byte
	err := l.Router.Do(func() (err error) {
		tables, err = os.ReadFile("/proc/thread-self/net/fib_trie")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	main, _, found := bytes.Cut(tables, []byte("Local:"))
	if !found || bytes.Contains(main, []byte("host LOCAL")) {
		t.Errorf("local addresses are in the main table:\n%s", tables)
	}
}

// passage is what a kind of noise makes pass the router, as conntrack counts it; an
// address or port that isn't set is any.
type passage struct {
	proto            uint8
	from, to         string
	fromPort, toPort uint16
	input, output    uint32
	reply            bool
}

const udpProto = unix.IPPROTO_UDP

// passages are the marks that each kind leaves. Kinds that are missing leave none.
var passages = map[string][]passage{
	"DHCP discover": {
		{proto: udpProto, from: "0.0.0.0", fromPort: 68, to: "255.255.255.255", toPort: 67,
			input: lan},
		{proto: udpProto, from: lab.RouterLANIPv4, to: "255.255.255.255", toPort: 68, output: lan},
	},
	"DHCP renew": {
		{proto: udpProto, fromPort: 68, to: lab.RouterLANIPv4, toPort: 67, input: lan},
		{proto: udpProto, from: lab.RouterLANIPv4, fromPort: 67, toPort: 68, output: lan,
			reply: true},
	},
	"NetBIOS name": {
		{proto: udpProto, fromPort: 137, to: "192.168.77.255", toPort: 137, input: lan},
		{proto: udpProto, from: lab.RouterLANIPv4, fromPort: 137, toPort: 137, output: lan},
	},
	"NetBIOS datagram": {
		{proto: udpProto, fromPort: 138, to: "192.168.77.255", toPort: 138, input: lan},
	},
	"mDNS": {
		{proto: udpProto, fromPort: 5353, to: "224.0.0.251", toPort: 5353, input: lan},
		{proto: udpProto, fromPort: 5353, to: "ff02::fb", toPort: 5353, input: lan},
		{proto: udpProto, from: lab.RouterLANIPv4, fromPort: 5353, to: "224.0.0.251", output: lan},
		{proto: udpProto, fromPort: 5353, to: "ff02::fb", output: lan},
	},
	"SSDP": {
		{proto: udpProto, to: "239.255.255.250", toPort: 1900, input: lan},
		{proto: udpProto, to: "ff02::c", toPort: 1900, input: lan},
		{proto: udpProto, from: lab.RouterLANIPv4, fromPort: 1900, output: lan},
	},
	"LLMNR": {
		{proto: udpProto, to: "224.0.0.252", toPort: 5355, input: lan},
		{proto: udpProto, to: "ff02::1:3", toPort: 5355, input: lan},
		{proto: udpProto, from: lab.RouterLANIPv4, fromPort: 5355, output: lan},
	},
	"groups": {
		{proto: unix.IPPROTO_IGMP, to: "224.0.0.1", input: lan},
		{proto: unix.IPPROTO_IGMP, to: "239.255.255.250", input: lan},
	},
	"new address": {
		{proto: udpProto, to: lab.ServerIPv6, toPort: lab.PortSilent, input: lan, output: wan},
	},
	"new device": {
		{proto: udpProto, to: "203.0.113.9", toPort: lab.PortAnswer, input: lan, output: wan},
		{proto: udpProto, from: "203.0.113.9", input: wan, output: lan, reply: true},
	},
	"broadcast ping": {{proto: unix.IPPROTO_ICMP, to: "192.168.77.255", input: lan}},
	"closed port": {
		{proto: udpProto, to: lab.RouterLANIPv4, toPort: 161, input: lan},
		{proto: udpProto, to: "203.0.113.9", toPort: 33_434, input: lan, output: wan},
	},
	"unreachable": {{proto: udpProto, toPort: 80, input: lan, output: dmz}},
	"refused": {
		{proto: unix.IPPROTO_TCP, to: "203.0.113.9", toPort: 81, input: lan, output: wan},
		{proto: unix.IPPROTO_TCP, fromPort: 81, output: lan, input: wan, reply: true},
		{proto: unix.IPPROTO_TCP, fromPort: 81, output: lan, reply: true},
	},
	"other protocols": {
		{proto: unix.IPPROTO_GRE, from: lab.ClientIPv4, to: "203.0.113.9", input: lan, output: wan},
		{proto: unix.IPPROTO_ESP, from: lab.ClientIPv4, to: "203.0.113.9", input: lan, output: wan},
	},
	"scan": {
		{proto: unix.IPPROTO_TCP, to: lab.RouterWANIPv4, input: wan},
		{proto: unix.IPPROTO_TCP, from: lab.RouterWANIPv4, output: wan, reply: true},
		{proto: udpProto, to: lab.RouterWANIPv4, input: wan},
	},
	"router's broadcast": {
		{proto: udpProto, from: lab.RouterLANIPv4, to: "192.168.77.255", toPort: 138, output: lan},
	},
	"uplink broadcast": {
		{proto: udpProto, to: "198.51.100.255", input: wan},
		{proto: unix.IPPROTO_IGMP, from: lab.ServerIPv4, to: "224.0.0.1", input: wan},
	},
}

func (w passage) matches(p lab.Passage) bool {
	matches := func(end netip.AddrPort, address string, port uint16) bool {
		return (address == "" || end.Addr().String() == address) &&
			(port == 0 || end.Port() == port)
	}
	return w.proto == p.Proto && w.reply == p.Reply && w.input == p.Input && w.output == p.Output &&
		matches(p.From, w.from, w.fromPort) && matches(p.To, w.to, w.toPort)
}

// TestKindsPassRouter: what each kind is to make conntrack count passes the router, by
// the interfaces that it is to take.
func TestKindsPassRouter(t *testing.T) {
	l, s := newSource(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), testTime)
	defer cancel()
	for _, kind := range Kinds() {
		for range drawn {
			e, err := s.Of(kind)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Make(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range passages[kind] {
			untilPassed(ctx, t, l, kind, want)
		}
	}
	if _, err := s.Of("silence"); err == nil {
		t.Error("there is a kind that isn't")
	}
}

func untilPassed(ctx context.Context, t *testing.T, l *lab.Lab, kind string, want passage) {
	t.Helper()
	for {
		all, err := l.Observed()
		if err != nil {
			t.Fatal(err)
		}
		for p := range all {
			if want.matches(p) {
				return
			}
		}
		if lab.WaitUntil(ctx, time.Now().Add(time.Millisecond)) != nil {
			t.Fatalf("%s: nothing passed like %+v:\n%v", kind, want, all)
		}
	}
}

// TestSeedDecides: the same seed draws the same events.
func TestSeedDecides(t *testing.T) {
	drawn := func(seed uint64) (kinds []string, frames [][]byte) {
		_, s := newSource(t, seed)
		for range 100 {
			e := s.Next()
			kinds = append(kinds, e.Kind)
		}
		for _, h := range s.hosts {
			frames = append(frames, slices.Concat(h.mac[:], h.privacy.AsSlice()))
		}
		return kinds, frames
	}
	kinds, frames := drawn(7)
	again, same := drawn(7)
	if !slices.Equal(kinds, again) || !slices.EqualFunc(frames, same, bytes.Equal) {
		t.Error("one seed, two sequences")
	}
	if other, _ := drawn(8); slices.Equal(kinds, other) {
		t.Error("two seeds, one sequence")
	}
}

// TestRun makes noise until it is stopped.
func TestRun(t *testing.T) {
	_, s := newSource(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	made := 0
	s.kinds = []kind{{"count", func(*Source) action {
		return func(context.Context) error {
			if made++; made == 3 {
				cancel()
			}
			return nil
		}
	}}}
	if n, err := s.Run(ctx, 10_000); err != nil || n != 3 || made != 3 {
		t.Errorf("%d events, %d made: %v", n, made, err)
	}
}
