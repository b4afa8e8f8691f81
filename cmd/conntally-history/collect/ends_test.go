package collect

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow/host"
)

const (
	lan  = 3
	lan2 = 4
	wan  = 2
	wan2 = 5

	elsewhere = "192.0.2.1:1000" // an exporter that is another machine
	loopback  = "127.0.0.1:1000"
)

// Which devices a record counts for.
func TestEnds(t *testing.T) {
	up := by(plain("192.168.1.5", "198.51.100.1", 10), lan, wan, 1)
	down := back(up, 100)
	wire := down
	wire.Dst, wire.PostDst = addr("203.0.113.1"), addr("192.168.1.5")
	wireUp := up
	wireUp.PostSrc, wireUp.PostDst = addr("203.0.113.1"), addr("198.51.100.1")
	v6 := by(plain("2001:db8:1::5", "2001:db8:2::1", 10), lan, wan, 1)
	doubleNAT := by(plain("10.0.0.5", "192.168.1.1", 10), lan, wan, 1)
	internal := by(plain("192.168.1.5", "192.168.2.6", 10), lan, lan2, 0)
	group := by(plain("192.168.1.5", "239.255.255.250", 10), lan, 0, 0)
	broadcast := by(plain("192.168.1.5", "192.168.1.255", 10), lan, 0, 0)
	routersBroadcast := by(plain("192.168.1.1", "192.168.1.127", 10), 0, lan, 0)
	toRouter := by(plain("192.168.1.5", "192.168.1.1", 10), lan, 0, 0)
	fromRouter := by(plain("203.0.113.1", "198.51.100.1", 10), 0, wan, 1)
	bridged := by(plain("192.168.1.5", "192.168.1.6", 10), 0, 0, 0)
	transit := by(plain("198.51.100.7", "198.51.100.8", 10), wan, wan2, 1)
	for _, c := range []struct {
		name, from string
		flows      []decode.Flow
		change     func(*Options)
		want       map[string]string
	}{
		{"of conntally", elsewhere, []decode.Flow{up, down}, nil,
			map[string]string{"192.168.1.5": "10 100 0 0"}},
		{"download first", elsewhere, []decode.Flow{down, up}, nil,
			map[string]string{"192.168.1.5": "10 100 0 0"}},
		{"nat=wire", elsewhere, []decode.Flow{wire, wireUp}, nil,
			map[string]string{"192.168.1.5": "10 100 0 0"}},
		{"public addresses inside, download first", elsewhere, []decode.Flow{back(v6, 100), v6},
			nil, map[string]string{"2001:db8:1::5": "10 100 0 0"}},
		{"private addresses outside, download first", elsewhere,
			[]decode.Flow{back(doubleNAT, 100), doubleNAT}, nil,
			map[string]string{"10.0.0.5": "10 100 0 0"}},
		{"networks are inside even behind an uplink", elsewhere,
			[]decode.Flow{back(doubleNAT, 100), doubleNAT},
			func(o *Options) { o.Inside = []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24")} },
			map[string]string{"10.0.0.5": "0 0 10 100", "192.168.1.1": "0 0 100 10"}},
		{"between networks", elsewhere, []decode.Flow{up, down, internal, back(internal, 7)}, nil,
			map[string]string{"192.168.1.5": "10 100 10 7", "192.168.2.6": "0 0 7 10"}},
		{"to a group", elsewhere, []decode.Flow{up, down, group}, nil,
			map[string]string{"192.168.1.5": "10 100 10 0"}},
		{"to all", elsewhere, []decode.Flow{up, down, broadcast}, nil,
			map[string]string{"192.168.1.5": "10 100 10 0"}},
		{"to a router elsewhere", elsewhere, []decode.Flow{up, down, toRouter}, nil,
			map[string]string{"192.168.1.5": "10 100 10 0", "192.168.1.1": "0 0 0 10"}},
		{"of a router elsewhere", elsewhere, []decode.Flow{up, down, fromRouter}, nil,
			map[string]string{"192.168.1.5": "10 100 0 0", "203.0.113.1": "10 0 0 0"}},
		{"of this router", loopback, []decode.Flow{up, down, fromRouter, toRouter}, nil,
			map[string]string{"192.168.1.5": "10 100 10 0", "router": "10 0 0 10"}},
		{"of this router to all of a small network", loopback,
			[]decode.Flow{up, down, routersBroadcast}, nil,
			map[string]string{"192.168.1.5": "10 100 0 0", "router": "0 0 10 0"}},
		{"bridged", elsewhere, []decode.Flow{up, down, bridged}, nil,
			map[string]string{"192.168.1.5": "10 100 10 0", "192.168.1.6": "0 0 0 10"}},
		{"from uplink to uplink", elsewhere, []decode.Flow{up, down, transit}, nil,
			map[string]string{"192.168.1.5": "10 100 0 0", "other": "10 0 0 0"}},
		{"excluded", elsewhere, []decode.Flow{up, down},
			func(o *Options) { o.Exclude = []netip.Prefix{netip.MustParsePrefix("192.168.1.5/32")} },
			map[string]string{"other": "10 100 0 0"}},
		{"without interfaces", elsewhere, []decode.Flow{
			plain("192.168.1.5", "198.51.100.1", 10), plain("198.51.100.1", "192.168.1.5", 100),
			plain("fe80::1", "ff02::1", 3), plain("fd00::5", "2001:db8::1", 4),
			plain("100.64.0.1", "192.168.1.5", 5),
			plain("192.168.1.5", "192.168.1.255", 6), plain("192.168.1.5", "255.255.255.255", 7),
		}, nil, map[string]string{"192.168.1.5": "10 105 13 0", "fe80::1": "0 0 3 0",
			"fd00::5": "4 0 0 0"}},
		{"one interface, as softflowd has", elsewhere, []decode.Flow{
			by(plain("192.168.1.5", "198.51.100.1", 10), lan, lan, 0),
			by(plain("198.51.100.1", "192.168.1.5", 100), lan, lan, 1),
			by(plain("198.51.100.1", "192.168.1.5", 100), 0, lan, 1),
		}, nil, map[string]string{"192.168.1.5": "10 200 0 0"}},
		{"all outputs said to be egress", elsewhere, []decode.Flow{
			up, by(down, wan, lan, 1),
		}, nil, map[string]string{"192.168.1.5": "10 100 0 0"}},
		{"of a host without an address yet", elsewhere, []decode.Flow{
			by(plain("0.0.0.0", "255.255.255.255", 3), lan, 0, 0), plain("0.0.0.0", "224.0.0.22", 4),
			plain("::", "ff02::16", 5),
		}, nil, map[string]string{"other": "0 0 12 0"}},
		{"without addresses", elsewhere, []decode.Flow{{Bytes: 9}}, nil,
			map[string]string{"other": "9 0 0 0"}},
		{"nothing inside", elsewhere, []decode.Flow{plain("198.51.100.1", "198.51.100.2", 9)}, nil,
			map[string]string{"other": "9 0 0 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var change []func(*Options)
			if c.change != nil {
				change = append(change, c.change)
			}
			f := newFixture(t, change...)
			f.machine.local[addr("203.0.113.1")] = true
			f.machine.local[addr("192.168.1.1")] = true
			f.send(c.from, c.flows...)
			f.expect(c.want)
		})
	}
}

// An exporter that gives an interface now this side, now that one, means something else by it:
// after some records, addresses decide.
func TestContradictoryDirectionsAreNotBelieved(t *testing.T) {
	f := newFixture(t)
	send := func() {
		for range 40 {
			up := by(plain("192.168.1.5", "198.51.100.1", 1), lan, wan, 1)
			f.send(elsewhere, up, back(up, 2), by(up, lan, wan, 0), by(back(up, 2), wan, lan, 1))
		}
	}
	send()
	f.take()
	for range 3 {
		send()
		f.expect(map[string]string{"192.168.1.5": "80 160 0 0"})
	}
}

// What is held back for want of an uplink is counted at the next batch at the latest.
func TestHeldRecordsAreInTheNextBatch(t *testing.T) {
	f := newFixture(t)
	f.send(elsewhere, by(plain("198.51.100.1", "192.168.1.5", 100), wan, lan, 0))
	f.expect(map[string]string{"192.168.1.5": "0 100 0 0"})
	f.send(elsewhere, by(plain("198.51.100.1", "192.168.1.5", 100), wan, lan, 0))
	if f.held != 0 {
		t.Error("records are held back though the exporter never says which its uplinks are")
	}
	f.expect(map[string]string{"192.168.1.5": "0 100 0 0"})
}

// A second uplink is learned, too.
func TestSecondUplinkDownloadFirst(t *testing.T) {
	f := newFixture(t)
	up := by(plain("192.168.1.5", "198.51.100.1", 10), lan, wan, 1)
	f.send(elsewhere, up, back(up, 100))
	up2 := by(plain("192.168.1.5", "10.9.9.9", 1), lan, wan2, 1)
	f.send(elsewhere, back(up2, 2))
	f.send(elsewhere, up2)
	f.expect(map[string]string{"192.168.1.5": "11 102 0 0"})
}

// A device is one by its Ethernet address, of the record or of this machine's neighbours.
func TestIdentity(t *testing.T) {
	f := newFixture(t, func(o *Options) {
		o.Aliases = []Alias{{Name: "tv", MACs: []host.MAC{mac(9), mac(8)},
			Addrs: []netip.Addr{addr("192.168.1.88")}}}
	})
	f.names[mac(5)] = "phone"
	f.machine.neighbours[addr("fd00::6")] = mac(6)
	up := plain("192.168.1.5", "198.51.100.1", 10)
	up.SrcMAC = mac(5)
	down := plain("198.51.100.1", "fd00::5", 100)
	down.DstMAC = mac(5)
	tv := plain("192.168.1.8", "198.51.100.1", 1)
	tv.SrcMAC = mac(8)
	f.send(elsewhere, up, down, plain("fd00::6", "2001:db8::1", 3), tv,
		plain("192.168.1.88", "198.51.100.1", 2))
	b := f.take()
	got := counts(b)
	if got[mac(5).String()] != "10 100 0 0" || got[mac(6).String()] != "3 0 0 0" ||
		got[mac(9).String()] != "3 0 0 0" || len(got) != 3 {
		t.Errorf("got %v", got)
	}
	for _, d := range b.Devices {
		switch d.ID {
		case mac(5).String():
			if d.Name != "phone" || d.Vendor != "Maker of phone" || d.MAC != d.ID ||
				len(d.Addresses) != 2 || d.Addresses[0] != addr("fd00::5") {
				t.Errorf("got %+v", d)
			}
		case mac(9).String():
			if d.Name != "tv" {
				t.Errorf("got %+v", d)
			}
		}
	}
	// Where the Ethernet address isn't known any more, the device is still the one that had
	// the address last.
	f.send(elsewhere, plain("192.168.1.5", "198.51.100.1", 10))
	f.expect(map[string]string{mac(5).String(): "10 0 0 0"})
}

// A device that was known by its address becomes part of the one that it turns out to be, in
// what is pending, what is being written, and what was written.
func TestAddressTurnsOutToBeOfADevice(t *testing.T) {
	f := newFixture(t)
	plainUp := plain("192.168.1.5", "198.51.100.1", 10)
	withMAC := plainUp
	withMAC.SrcMAC = mac(5)
	f.send(elsewhere, plainUp)
	first := f.Take(f.now, true)
	f.send(elsewhere, plainUp, withMAC)
	f.Return(first)
	f.send(elsewhere, plainUp)
	f.expect(map[string]string{mac(5).String(): "40 0 0 0"})

	f = newFixture(t)
	f.send(elsewhere, plainUp)
	f.take()
	f.send(elsewhere, withMAC)
	f.take()
	if got := counts(&f.written); len(got) != 1 || got[mac(5).String()] != "20 0 0 0" {
		t.Errorf("got %v", got)
	}
}

// After a restart, devices are those that they were.
func TestDevicesAreRestored(t *testing.T) {
	f := newFixture(t)
	f.Collector = New(f.o, nil, []usage.Device{
		{ID: mac(5).String(), Name: "phone", MAC: mac(5).String(),
			Addresses: []netip.Addr{addr("192.168.1.5")}, Last: f.now},
		{ID: "192.168.1.5", Addresses: []netip.Addr{addr("192.168.1.5")}},
		{ID: "192.168.1.7", Addresses: []netip.Addr{addr("192.168.1.7")}},
	})
	withMAC := plain("192.168.1.7", "198.51.100.1", 3)
	withMAC.SrcMAC = mac(7)
	f.send(elsewhere, plain("192.168.1.5", "198.51.100.1", 10), withMAC)
	b := f.take()
	if got := counts(b); got[mac(5).String()] != "10 0 0 0" || len(got) != 2 ||
		len(b.Merges) != 1 || b.Merges[0].From != "192.168.1.7" {
		t.Errorf("got %v, merges %v", got, b.Merges)
	}
	// One by its address that the configuration named once: now its Ethernet address counts.
	f.Collector = New(f.o, nil, []usage.Device{{ID: "192.168.1.8", MAC: mac(8).String(),
		Addresses: []netip.Addr{addr("192.168.1.8")}}})
	v6, v4 := plain("fd00::8", "198.51.100.1", 1), plain("192.168.1.8", "198.51.100.1", 2)
	v6.SrcMAC, v4.SrcMAC = mac(8), mac(8)
	f.send(elsewhere, v6, v4)
	if b = f.take(); counts(b)[mac(8).String()] != "3 0 0 0" || len(b.Merges) != 1 {
		t.Errorf("got %v, merges %v", counts(b), b.Merges)
	}
	f.o.Aliases = []Alias{{Name: "both", MACs: []host.MAC{mac(1), mac(2)}}}
	f.Collector = New(f.o, nil, []usage.Device{{ID: mac(1).String()}, {ID: mac(2).String()}})
	if b = f.take(); len(b.Merges) != 1 || b.Merges[0].Into != mac(1).String() {
		t.Errorf("a new alias: merges %v", b.Merges)
	}
}

// disk is what the store keeps of devices, for a restart.
type disk map[string]usage.Device

func (d disk) write(b *usage.Batch) {
	for _, m := range b.Merges {
		from, known := d[m.From]
		if _, exists := d[m.Into]; known && !exists {
			from.ID = m.Into
			d[m.Into] = from
		}
		delete(d, m.From)
	}
	for _, n := range b.Devices {
		d[n.ID] = n
	}
}

// Which device a record counts for follows from its addresses and the configuration, in
// whatever order records come, and wherever a restart is between them.
func TestOrderAndRestartChangeNoDevice(t *testing.T) {
	from := func(a string, m host.MAC, bytes uint64) decode.Flow {
		f := plain(a, "198.51.100.1", bytes)
		f.SrcMAC = m
		return f
	}
	const tv, nas = "192.0.2.122", "192.168.1.9" // addresses that the configuration names
	tvMAC, nasMAC, dock := mac(1), mac(2), mac(3)
	for _, c := range []struct {
		name  string
		flows []decode.Flow
		want  map[string]string
	}{
		{"address of a neighbour", []decode.Flow{
			from(tv, tvMAC, 1), from(tv, host.MAC{}, 2), from("fd00::1", tvMAC, 4),
			from("fd00::1", host.MAC{}, 8), from("192.168.1.1", tvMAC, 16),
		}, map[string]string{tv: "3 0 0 0", tvMAC.String(): "28 0 0 0"}},
		{"Ethernet addresses and an address", []decode.Flow{
			from("192.168.1.2", nasMAC, 1), from("192.168.1.3", dock, 2),
			from("192.168.1.3", host.MAC{}, 4), from(nas, host.MAC{}, 8), from(nas, mac(4), 16),
			from("fd00::4", mac(4), 32),
		}, map[string]string{nasMAC.String(): "31 0 0 0", mac(4).String(): "32 0 0 0"}},
		{"Ethernet address before address", []decode.Flow{
			from(tv, dock, 1), from(tv, host.MAC{}, 2), from("fd00::3", dock, 4), from(tv, tvMAC, 8),
		}, map[string]string{nasMAC.String(): "5 0 0 0", tv: "10 0 0 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			permute(c.flows, func(order []decode.Flow) {
				for restart := range len(order) {
					f := newFixture(t, func(o *Options) {
						o.Inside = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
						o.Aliases = []Alias{
							{Name: "tv", Addrs: []netip.Addr{addr(tv)}},
							{Name: "nas", MACs: []host.MAC{nasMAC, dock},
								Addrs: []netip.Addr{addr(nas)}},
						}
					})
					f.names[tvMAC], f.names[dock] = "android-1234", "usb-dock"
					stored := disk{}
					for i, flow := range order {
						if i == restart {
							stored.write(f.take())
							f.Collector = New(f.o, nil, slices.Collect(maps.Values(stored)))
						}
						f.send(elsewhere, flow)
					}
					stored.write(f.take())
					got := counts(&f.written)
					if !maps.Equal(got, c.want) {
						t.Fatalf("%v, a restart before the record %d:\n got %v\nwant %v",
							sources(order), restart, got, c.want)
					}
					for id, name := range map[string]string{tv: "tv", nasMAC.String(): "nas"} {
						if n, known := stored[id]; known && n.Name != name {
							t.Fatalf("%v, a restart before the record %d: %s is called %q, want %s",
								sources(order), restart, id, n.Name, name)
						}
					}
				}
			})
		})
	}
}

// permute calls fn with all in every order.
func permute[T any](all []T, fn func([]T)) {
	var from func(int)
	from = func(n int) {
		if n == len(all) {
			fn(all)
		}
		for i := n; i < len(all); i++ {
			all[n], all[i] = all[i], all[n]
			from(n + 1)
			all[n], all[i] = all[i], all[n]
		}
	}
	from(0)
}

// sources says who sent records.
func sources(flows []decode.Flow) (all []string) {
	for i := range flows {
		all = append(all, fmt.Sprint(flows[i].Src, "@", flows[i].SrcMAC))
	}
	return all
}

// Devices beyond the limit count as "other", until old ones are forgotten.
func TestFullTableOfDevices(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Max = 2 })
	f.send(elsewhere, plain("10.0.0.1", "198.51.100.1", 1), plain("10.0.0.2", "198.51.100.1", 2),
		plain("10.0.0.3", "198.51.100.1", 3))
	f.expect(map[string]string{"10.0.0.1": "1 0 0 0", "10.0.0.2": "2 0 0 0", "other": "3 0 0 0"})
	if f.Stats().Overflow != 1 {
		t.Errorf("%d records overflowed", f.Stats().Overflow)
	}
	f.now = f.now.Add(2 * forgetAfter)
	f.send(elsewhere, plain("10.0.0.3", "198.51.100.1", 3))
	f.expect(map[string]string{"10.0.0.3": "3 0 0 0"})
}

// Zones tell the same address in two networks apart.
func TestZones(t *testing.T) {
	f := newFixture(t)
	one, two := plain("10.0.0.1", "198.51.100.1", 1), plain("10.0.0.1", "198.51.100.1", 2)
	two.InputZone = 7
	f.send(elsewhere, one, two)
	f.expect(map[string]string{"10.0.0.1": "1 0 0 0", "zone7/10.0.0.1": "2 0 0 0"})
}

// zoned is a record of the device of a MAC, in a conntrack zone.
func zoned(src string, m host.MAC, zone uint32) decode.Flow {
	f := plain(src, "198.51.100.1", 1)
	f.SrcMAC, f.InputZone = m, zone
	return f
}

// Whatever zones an exporter claims, the addresses that are remembered are bounded.
func TestAddressesInChangingZonesAreBounded(t *testing.T) {
	f := newFixture(t)
	for i := range uint32(10_000) {
		f.send(elsewhere, zoned(fmt.Sprintf("10.0.%d.%d", i>>8, i&255), mac(1), i),
			zoned("10.1.0.1", mac(2), i)) // the same address in each zone
	}
	if n := len(f.devices.byAddress); n > 2*maxAddresses {
		t.Errorf("%d addresses of 2 devices", n)
	}
	f.expect(map[string]string{mac(1).String(): "10000 0 0 0", mac(2).String(): "10000 0 0 0"})
	for _, d := range f.devices.byID {
		if n := len(d.listed()); d.ID == mac(2).String() && n != 1 {
			t.Errorf("%d addresses of one", n)
		}
	}
}

// A device that is forgotten can't be reached by its addresses any more, in whatever zone.
func TestForgottenDeviceIsNotFoundByItsZone(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.Max = 1 })
	f.send(elsewhere, zoned("10.0.0.1", mac(1), 7))
	f.take()
	f.now = f.now.Add(2 * forgetAfter)
	f.send(elsewhere, zoned("10.0.0.2", mac(2), 7)) // takes its place
	f.send(elsewhere, zoned("10.0.0.1", host.MAC{}, 7))
	f.expect(map[string]string{mac(2).String(): "1 0 0 0", usage.Other: "1 0 0 0"})
	if n := len(f.devices.byAddress); n != 1 {
		t.Errorf("%d addresses of a device", n)
	}
}

// A device by address that turns out to be that of a MAC takes its zone with it.
func TestMergedDeviceKeepsItsZone(t *testing.T) {
	f := newFixture(t)
	for i := range uint32(100) {
		at := fmt.Sprintf("10.0.0.%d", i)
		f.send(elsewhere, zoned(at, host.MAC{}, i), zoned(at, mac(1), i), zoned(at, host.MAC{}, i))
	}
	f.expect(map[string]string{mac(1).String(): "300 0 0 0"})
	if n := len(f.devices.byAddress); n > maxAddresses {
		t.Errorf("%d addresses of a device", n)
	}
}
