package account

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
)

const (
	lan  = 2 // ifIndexes
	lan2 = 3
	wan  = 4
)

var (
	toLAN  = flow.NewHop(lan, false)
	toLAN2 = flow.NewHop(lan2, false)
	toWAN  = flow.NewHop(wan, true)
)

// network is a Resolver whose answers a test sets.
type network struct {
	macs    map[conntrack.Addr]host.MAC
	version uint32
}

func (n *network) Local(a *conntrack.Addr) bool { return a.Netip() == ip("192.0.2.1") }

func (n *network) Broadcast(a *conntrack.Addr) bool { return a.Netip() == ip("192.0.2.255") }

func (n *network) Name(index uint32) string { return fmt.Sprint("eth", index) }

func (n *network) MAC(a *conntrack.Addr, _ uint32, _ int64) host.MAC { return n.macs[*a] }

func (n *network) Version() uint32 { return n.version }

func (n *network) set(addr, mac string) {
	n.version++
	if mac == "" {
		delete(n.macs, conntrack.AddrFrom(ip(addr)))
		return
	}
	n.macs[conntrack.AddrFrom(ip(addr))] = hardware(mac)
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func hardware(s string) host.MAC {
	mac, err := host.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return mac
}

func newTest(change ...func(*Options)) (*Accounts, *network) {
	n := &network{macs: map[conntrack.Addr]host.MAC{}}
	o := Options{Devices: true, Max: 100, OfflineAfter: 5 * time.Minute, Resolver: n}
	for _, c := range change {
		c(&o)
	}
	return New(o), n
}

func at(seconds int64) conntrack.Timestamp {
	return conntrack.Timestamp{Mono: seconds * 1e9, Wall: 1_700_000_000e9 + seconds*1e9}
}

// opened is a new connection.
func opened(from, to string, when int64) *conntrack.Event {
	src, dst := conntrack.AddrFrom(ip(from)), conntrack.AddrFrom(ip(to))
	return &conntrack.Event{
		At: at(when), Counted: true,
		Orig:  conntrack.Tuple{Src: src, Dst: dst, Family: unix.AF_INET, Proto: conntrack.ProtoTCP},
		Reply: conntrack.Tuple{Src: dst, Dst: src, Family: unix.AF_INET, Proto: conntrack.ProtoTCP},
	}
}

func moved(up, down uint64) *[2]conntrack.Counters {
	return &[2]conntrack.Counters{{Packets: up / 100, Bytes: up},
		{Packets: down / 100, Bytes: down}}
}

// bytesOf returns up and down by scope of each device, as "wan UP/DOWN lan UP/DOWN".
func bytesOf(s *Snapshot) map[string]string {
	out := map[string]string{}
	for i := range s.Devices {
		d := &s.Devices[i]
		out[d.ID.String()] = fmt.Sprintf("wan %d/%d lan %d/%d", d.Usage[WAN].Up.Bytes,
			d.Usage[WAN].Down.Bytes, d.Usage[LAN].Up.Bytes, d.Usage[LAN].Down.Bytes)
	}
	return out
}

// TestEachByteBelongsToItsDevice: one connection of each kind, which moves 1000 bytes in
// its original direction and 500 in the other.
func TestEachByteBelongsToItsDevice(t *testing.T) {
	cases := []struct {
		name     string
		from, to string
		path     flow.Path
		want     map[string]string
		traffic  [traffics]uint64
	}{
		{"upload", "192.0.2.10", "203.0.113.9", flow.Path{toLAN, toWAN},
			map[string]string{"192.0.2.10": "wan 1000/500 lan 0/0"},
			[traffics]uint64{Upload: 1000, Download: 500}},
		{"forwarded port", "203.0.113.9", "192.0.2.10", flow.Path{toWAN, toLAN},
			map[string]string{"192.0.2.10": "wan 500/1000 lan 0/0"},
			[traffics]uint64{Upload: 500, Download: 1000}},
		{"between networks", "192.0.2.10", "198.51.100.2", flow.Path{toLAN, toLAN2},
			map[string]string{"192.0.2.10": "wan 0/0 lan 1000/500",
				"198.51.100.2": "wan 0/0 lan 500/1000"},
			[traffics]uint64{Internal: 1500}},
		{"router's own", "192.0.2.1", "203.0.113.9", flow.Path{0, toWAN},
			map[string]string{"router": "wan 1000/500 lan 0/0"},
			[traffics]uint64{Upload: 1000, Download: 500}},
		{"to the router", "192.0.2.10", "192.0.2.1", flow.Path{toLAN, 0},
			map[string]string{"192.0.2.10": "wan 0/0 lan 1000/500",
				"router": "wan 0/0 lan 500/1000"},
			[traffics]uint64{Internal: 1500}},
		{"to the router in another VRF, which routes seem to lead out of", "192.0.2.10", "192.0.2.1",
			flow.Path{toLAN, toWAN},
			map[string]string{"192.0.2.10": "wan 0/0 lan 1000/500",
				"router": "wan 0/0 lan 500/1000"},
			[traffics]uint64{Internal: 1500}},
		{"multicast", "192.0.2.10", "239.255.255.250", flow.Path{toLAN, 0},
			map[string]string{"192.0.2.10": "wan 0/0 lan 1000/500", "other": "wan 0/0 lan 500/0"},
			[traffics]uint64{Internal: 1500}},
		{"broadcast", "192.0.2.10", "192.0.2.255", flow.Path{toLAN, 0},
			map[string]string{"192.0.2.10": "wan 0/0 lan 1000/500", "other": "wan 0/0 lan 500/0"},
			[traffics]uint64{Internal: 1500}},
		{"router's broadcast", "192.0.2.1", "192.0.2.255", flow.Path{0, toLAN},
			map[string]string{"router": "wan 0/0 lan 1000/500", "other": "wan 0/0 lan 500/0"},
			[traffics]uint64{Internal: 1500}},
		{"DHCP request", "0.0.0.0", "255.255.255.255", flow.Path{toLAN, 0},
			map[string]string{"other": "wan 0/0 lan 1500/0"}, [traffics]uint64{Unknown: 1500}},
		{"membership report", "::", "ff02::16", flow.Path{toLAN, 0},
			map[string]string{"other": "wan 0/0 lan 1500/0"}, [traffics]uint64{Unknown: 1500}},
		{"transit", "203.0.113.1", "203.0.113.9", flow.Path{toWAN, toWAN},
			map[string]string{"other": "wan 1000/500 lan 0/0"}, [traffics]uint64{Transit: 1500}},
		{"unknown", "203.0.113.1", "203.0.113.9", flow.Path{},
			map[string]string{"other": "wan 0/0 lan 1500/0"}, [traffics]uint64{Unknown: 1500}},
		{"excluded", "192.0.2.99", "203.0.113.9", flow.Path{toLAN, toWAN},
			map[string]string{"other": "wan 1000/500 lan 0/0"},
			[traffics]uint64{Upload: 1000, Download: 500}},
		{"inside behind an uplink", "10.9.0.3", "203.0.113.9", flow.Path{toWAN, toWAN},
			map[string]string{"10.9.0.3": "wan 1000/500 lan 0/0"},
			[traffics]uint64{Upload: 1000, Download: 500}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a, _ := newTest(func(o *Options) {
				o.Exclude = []netip.Prefix{netip.MustParsePrefix("192.0.2.99/32")}
				o.Inside = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
			})
			slot := a.Open(opened(c.from, c.to, 1), c.path)
			a.Count(slot, moved(1000, 500), at(2))
			a.Close(slot)
			s := a.Snapshot(at(3))
			if got := bytesOf(s); !reflect.DeepEqual(got, c.want) {
				t.Errorf("devices %v, want %v", got, c.want)
			}
			if s.Traffic != c.traffic {
				t.Errorf("traffic %v, want %v", s.Traffic, c.traffic)
			}
		})
	}
}

// TestAddressesOfOneMACAreOneDevice: IPv4, IPv6 and privacy addresses, of which some are
// seen before the neighbour is known.
func TestAddressesOfOneMACAreOneDevice(t *testing.T) {
	a, n := newTest()
	const mac = "02:00:00:00:00:01"
	n.set("192.0.2.10", mac)
	var open []uint32
	for i, from := range []string{"2001:db8::1", "192.0.2.10", "2001:db8::2", "2001:db8::3"} {
		slot := a.Open(opened(from, "203.0.113.9", int64(i)), flow.Path{toLAN, toWAN})
		a.Count(slot, moved(100, 100), at(int64(i)))
		open = append(open, slot)
	}
	for i := 1; i <= 3; i++ {
		n.set(fmt.Sprintf("2001:db8::%d", i), mac)
	}
	a.Refresh(at(10))
	for _, slot := range open {
		a.Count(slot, moved(1000, 0), at(11))
	}
	s := a.Snapshot(at(12))
	got, want := bytesOf(s), map[string]string{mac: "wan 4400/400 lan 0/0"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if d := s.Devices[0]; len(d.Addresses) != 4 || d.Connections != 4 {
		t.Errorf("%d addresses, %d connections", len(d.Addresses), d.Connections)
	}
	for _, slot := range open {
		a.Close(slot)
	}
	if len(a.byID) != 3 || len(a.devices)-len(a.freed) != 3 {
		t.Errorf("%d devices by ID, %d places taken", len(a.byID), len(a.devices)-len(a.freed))
	}
}

// TestAddressOfAnotherDevice: a lease that goes to another host. Its open connection stays
// with the first.
func TestAddressOfAnotherDevice(t *testing.T) {
	a, n := newTest()
	n.set("192.0.2.10", "02:00:00:00:00:01")
	first := a.Open(opened("192.0.2.10", "203.0.113.9", 1), flow.Path{toLAN, toWAN})
	n.set("192.0.2.10", "02:00:00:00:00:02")
	second := a.Open(opened("192.0.2.10", "203.0.113.9", 2), flow.Path{toLAN, toWAN})
	a.Count(first, moved(100, 0), at(3))
	a.Count(second, moved(7, 0), at(3))
	s := a.Snapshot(at(4))
	want := map[string]string{"02:00:00:00:00:01": "wan 100/0 lan 0/0",
		"02:00:00:00:00:02": "wan 7/0 lan 0/0"}
	if got := bytesOf(s); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	n.set("192.0.2.10", "") // the neighbour is forgotten: the address is still the second's
	a.Count(a.Open(opened("192.0.2.10", "203.0.113.9", 5), flow.Path{toLAN, toWAN}), moved(1, 0),
		at(6))
	if got := bytesOf(a.Snapshot(at(7)))["02:00:00:00:00:02"]; got != "wan 8/0 lan 0/0" {
		t.Errorf("%v", got)
	}
}

// TestInventedDevicesDisplaceNoRealOnes: a host that makes up 100,000 Ethernet addresses.
func TestInventedDevicesDisplaceNoRealOnes(t *testing.T) {
	a, n := newTest()
	use := func(i int, mac string, up, down uint64, when int64) {
		from := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()
		n.set(from, mac)
		slot := a.Open(opened(from, "203.0.113.9", when), flow.Path{toLAN, toWAN})
		a.Count(slot, moved(up, down), at(when))
		a.Close(slot)
		n.set(from, "")
	}
	for i := range 50 {
		use(i, fmt.Sprintf("00:16:3e:00:00:%02x", i), 1000, 1000, 1)
	}
	for i := range 100_000 {
		use(1000+i, fmt.Sprintf("02:00:00:%02x:%02x:%02x", i>>16, i>>8&255, i&255), 100, 0,
			2+int64(i/100))
	}
	if len(a.devices) > 110 || len(a.byAddress) > 110*maxAddresses {
		t.Errorf("%d devices, %d addresses", len(a.devices), len(a.byAddress))
	}
	s := a.Snapshot(at(3000))
	got := bytesOf(s)
	total := uint64(0)
	for i := range 50 {
		if b := got[fmt.Sprintf("00:16:3e:00:00:%02x", i)]; b != "wan 1000/1000 lan 0/0" {
			t.Errorf("device %d: %q", i, b)
		}
	}
	for i := range s.Devices {
		total += s.Devices[i].Usage[WAN].Up.Bytes
	}
	if want := uint64(50*1000 + 100_000*100); total != want {
		t.Errorf("%d bytes up in all, want %d", total, want)
	}
}

func TestMeterAllocatesNothing(t *testing.T) {
	a, n := newTest()
	n.set("192.0.2.10", "02:00:00:00:00:01")
	e := opened("192.0.2.10", "203.0.113.9", 1)
	m := moved(100, 100)
	allocations := testing.AllocsPerRun(1000, func() {
		slot := a.Open(e, flow.Path{toLAN, toWAN})
		a.Count(slot, m, at(2))
		a.Close(slot)
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func BenchmarkCount(b *testing.B) {
	a, _ := newTest()
	slot := a.Open(opened("192.0.2.10", "203.0.113.9", 1), flow.Path{toLAN, toWAN})
	m := moved(100, 100)
	b.ReportAllocs()
	for b.Loop() {
		a.Count(slot, m, at(2))
	}
}

func FuzzRestore(f *testing.F) {
	a, n := newTest()
	n.set("192.0.2.10", "02:00:00:00:00:01")
	a.Count(a.Open(opened("192.0.2.10", "2001:db8::1", 1), flow.Path{toLAN, toWAN}), moved(1, 2),
		at(3))
	f.Add(a.Snapshot(at(4)).Encode())
	f.Add([]byte(`{"version":1,"devices":[{"device":"zone7/10.0.0.1","usage":[[1],[2,3,4,5]]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, _ := newTest()
		if a.Restore(b) != nil {
			return
		}
		again := New(a.options)
		if err := again.Restore(a.Snapshot(at(0)).Encode()); err != nil {
			t.Fatal(err)
		}
		got, want := bytesOf(again.Snapshot(at(0))), bytesOf(a.Snapshot(at(0)))
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// TestKnownEndsFollowTheirDevices: an end that is known from the connection before is another
// device's as soon as its address is.
func TestKnownEndsFollowTheirDevices(t *testing.T) {
	a, n := newTest()
	n.set("192.168.1.10", "02:00:00:00:00:01")
	path := flow.Path{toLAN, toWAN}
	count := func(when int64) {
		a.CountEnded(opened("192.168.1.10", "198.51.100.7", when), path, moved(100, 0))
	}
	check := func(what string, want map[string]string) {
		t.Helper()
		s := a.Snapshot(at(9))
		got := bytesOf(s)
		for id, usage := range want {
			if got[id] != usage {
				t.Errorf("%s: %s has %q, want %q", what, id, got[id], usage)
			}
		}
	}
	count(1)
	count(2)
	check("twice", map[string]string{"02:00:00:00:00:01": "wan 200/0 lan 0/0"})
	n.set("192.168.1.10", "02:00:00:00:00:02")
	count(3)
	check("its address is another's", map[string]string{
		"02:00:00:00:00:01": "wan 200/0 lan 0/0", "02:00:00:00:00:02": "wan 100/0 lan 0/0"})
	a.Reconfigure(func(o Options) Options {
		o.Exclude = []netip.Prefix{netip.MustParsePrefix("192.168.1.10/32")}
		return o
	}(a.options))
	count(4)
	check("excluded", map[string]string{
		"02:00:00:00:00:02": "wan 100/0 lan 0/0", "other": "wan 100/0 lan 0/0"})
	if a.open != 0 {
		t.Errorf("%d connections are open", a.open)
	}
}

// TestRandomMACIsKeptForAWeek: of a device that has only received, too, whether it was restored or not.
func TestRandomMACIsKeptForAWeek(t *testing.T) {
	const week = int64(7 * 24 * 60 * 60)
	for name, c := range map[string]struct{ sent, received uint64 }{
		"both": {100, 100}, "sent": {100, 0}, "received": {0, 100},
	} {
		a, n := newTest()
		n.set("192.168.1.40", "02:00:00:00:00:05")
		a.CountEnded(opened("192.168.1.40", "203.0.113.9", 1), flow.Path{toLAN, toWAN},
			moved(c.sent, c.received))
		again, _ := newTest()
		if err := again.Restore(a.Snapshot(at(2)).Encode()); err != nil {
			t.Fatal(err)
		}
		for run, a := range map[string]*Accounts{"counted": a, "restored": again} {
			for _, when := range []int64{400, week - 10, 2 * week} {
				a.Refresh(at(when))
				_, kept := a.byID[ID{Kind: ByMAC, MAC: hardware("02:00:00:00:00:05")}]
				if kept != (when < week) {
					t.Errorf("%s, %s: kept after %d s: %v", name, run, when, kept)
				}
			}
		}
	}
}

// TestKnownEndsStay: what a LAN's hosts talk to displaces none of them, whatever its address is.
func TestKnownEndsStay(t *testing.T) {
	a, _ := newTest(func(o *Options) { o.Max = 300 })
	play := func() uint32 {
		for i := range 254 * 254 {
			from, to := fmt.Sprintf("10.77.0.%d", 1+i%254), fmt.Sprintf("198.18.0.%d", 1+i%253)
			a.CountEnded(opened(from, to, 1), flow.Path{toLAN, toWAN}, moved(100, 0))
		}
		return a.numbered
	}
	if first, second := play(), play(); first != 254+253 || second != first {
		t.Errorf("%d ends were identified, then %d", first, second-first)
	}
}

// TestKnownEndAsksAgain where what it lacked may have come: a neighbour that wasn't known, or room.
func TestKnownEndAsksAgain(t *testing.T) {
	a, n := newTest(func(o *Options) { o.Max = 1 })
	path := flow.Path{toLAN, toWAN}
	count := func(from string, when int64) {
		a.CountEnded(opened(from, "198.51.100.7", when), path, moved(100, 0))
	}
	count("192.168.1.10", 1)
	n.set("192.168.1.10", "02:00:00:00:00:01")
	count("192.168.1.10", 2)
	known := &a.known[0][placeOf(new(conntrack.AddrFrom(ip("192.168.1.10"))))]
	if known.mac != hardware("02:00:00:00:00:01") {
		t.Errorf("its neighbour came later: %v", known.mac)
	}
	count("192.168.1.11", 3)
	a.options.Max = 2
	count("192.168.1.11", 4)
	known = &a.known[0][placeOf(new(conntrack.AddrFrom(ip("192.168.1.11"))))]
	if known.device == other {
		t.Error("room came later, and it is still other")
	}
}

// TestKnownEndIsItsDevicesLatestAddress, each time that the device is reached by another one.
func TestKnownEndIsItsDevicesLatestAddress(t *testing.T) {
	a, n := newTest()
	path := flow.Path{toLAN, toWAN}
	both := []string{"192.168.1.10", "192.168.1.11"}
	for _, address := range both {
		n.set(address, "02:00:00:00:00:01")
	}
	for i := range 6 {
		address := both[i%2]
		a.CountEnded(opened(address, "198.51.100.7", int64(i)), path, moved(100, 0))
		d := &a.devices[a.byID[ID{Kind: ByMAC, MAC: hardware("02:00:00:00:00:01")}]]
		if latest := d.addresses[len(d.addresses)-1]; latest.addr.Netip() != ip(address) {
			t.Errorf("%d: %s, want %s", i, latest.addr.Netip(), address)
		}
	}
}
