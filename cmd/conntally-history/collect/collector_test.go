package collect

import (
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow/host"
)

// home is a model of a household behind an exporter of ours.
type home struct {
	r     *rand.Rand
	truth map[string]usage.Usage // by the device's ID
	wire  bool
	macs  bool
}

// host n has an Ethernet address, and one address of each family.
func (h *home) device(n int, v6 bool) (netip.Addr, host.MAC) {
	if v6 {
		return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 15: byte(n)}), mac(byte(n))
	}
	return netip.AddrFrom4([4]byte{192, 168, 1, byte(n)}), mac(byte(n))
}

// connection returns the records of both directions of a connection, and counts it.
func (h *home) connection(now time.Time) []decode.Flow {
	v6, internal := h.r.IntN(2) == 0, h.r.IntN(4) == 0
	n := 1 + h.r.IntN(20)
	inner, innerMAC := h.device(n, v6)
	out := decode.Flow{
		Src: inner, Protocol: 6, SrcPort: uint16(30000 + h.r.IntN(10)), DstPort: 443,
		Bytes: h.r.Uint64N(1e9), Packets: h.r.Uint64N(1e6), Input: lan, Output: wan, Direction: 1,
		EndReason: uint8(1 + h.r.IntN(3)),
		Start:     now.Add(-time.Duration(h.r.Int64N(int64(3 * time.Hour)))), End: now,
	}
	if h.macs {
		out.SrcMAC = innerMAC
	}
	back := out
	back.Bytes, back.Packets = h.r.Uint64N(1e9), h.r.Uint64N(1e6)
	moved := usage.Counters{UpBytes: out.Bytes, UpPackets: out.Packets, DownBytes: back.Bytes,
		DownPackets: back.Packets}
	if internal {
		m := 1 + (n+h.r.IntN(19))%20
		other, otherMAC := h.device(m, v6)
		out.Dst, out.Output, out.Direction = other, lan2, 0
		if h.macs {
			out.DstMAC = otherMAC
		}
		h.moved(m, inner, v6, usage.Usage{LAN: usage.Counters{
			UpBytes: back.Bytes, UpPackets: back.Packets, DownBytes: out.Bytes,
			DownPackets: out.Packets}})
		h.moved(n, inner, v6, usage.Usage{LAN: moved})
	} else {
		out.Dst = netip.AddrFrom4([4]byte{198, 51, 100, byte(h.r.IntN(50))})
		if v6 {
			out.Dst = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 2, 15: byte(h.r.IntN(50))})
		}
		h.moved(n, inner, v6, usage.Usage{WAN: moved})
	}
	back.Src, back.Dst, back.SrcPort, back.DstPort = out.Dst, out.Src, out.DstPort, out.SrcPort
	back.Input, back.Output, back.Direction = out.Output, out.Input, 0
	back.SrcMAC, back.DstMAC = out.DstMAC, out.SrcMAC
	if h.wire && !internal && !v6 {
		router := addr("203.0.113.7")
		out.PostSrc, out.PostDst, back.PostSrc, back.PostDst = router, out.Dst, back.Src, back.Dst
		out.PostDstPort, back.PostDstPort = out.DstPort, back.DstPort
		back.Dst = router
	}
	return []decode.Flow{out, back}
}

func (h *home) moved(n int, _ netip.Addr, v6 bool, u usage.Usage) {
	ip, m := h.device(n, v6)
	id := ip.String()
	if h.macs {
		id = m.String()
	}
	sum := h.truth[id]
	sum.Add(u)
	h.truth[id] = sum
}

// Whatever the order of records, batches and failures to write them: what is written is what
// each device moved, by hour as by destination.
func TestUsageIsExact(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	for i := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, i))
		h := &home{r: r, truth: map[string]usage.Usage{}, wire: i%2 == 1, macs: i%4 < 2}
		f := newFixture(t)
		for range 30 {
			var flows []decode.Flow
			for range 50 {
				flows = append(flows, h.connection(f.now)...)
			}
			r.Shuffle(len(flows), func(i, j int) { flows[i], flows[j] = flows[j], flows[i] })
			for len(flows) > 0 {
				n := min(1+r.IntN(20), len(flows))
				f.send(elsewhere, flows[:n]...)
				flows = flows[n:]
			}
			switch r.IntN(3) {
			case 0:
				write(&f.written, f.Take(f.now, false))
			case 1:
				f.Return(f.Take(f.now, r.IntN(2) == 0))
			}
			f.now = f.now.Add(time.Duration(r.Int64N(int64(time.Hour))))
		}
		f.take()
		if got := byDevice(&f.written); !maps.Equal(got, h.truth) {
			for id, want := range h.truth {
				if got[id] != want {
					t.Errorf("%s: got %+v, want %+v", id, got[id], want)
				}
			}
			t.Fatalf("%d devices, want %d", len(got), len(h.truth))
		}
		if got := destinationsByDevice(&f.written); !maps.Equal(got, h.truth) {
			t.Fatal("destinations don't add up")
		}
	}
}

// A connection is one contact, and so is each time that it speaks again.
func TestContacts(t *testing.T) {
	f := newFixture(t)
	flow := func(reason uint8, start, end int) decode.Flow {
		r := plain("192.168.1.5", "198.51.100.1", 1)
		r.Start, r.End = f.now.Add(time.Duration(start)*time.Second), f.now.Add(
			time.Duration(end)*time.Second)
		r.EndReason = reason
		return r
	}
	f.send(elsewhere, flow(2, -600, -540), flow(2, -540, -480), flow(1, -480, -450), // one
		flow(1, -400, -390),                     // another
		flow(2, -300, -240), flow(3, -100, -90), // two more
		back(flow(3, -600, -90), 5))
	b := f.take()
	if len(b.Destinations) != 1 {
		t.Fatalf("%d destinations", len(b.Destinations))
	}
	for k, u := range b.Destinations {
		want := usage.Destination{Day: f.o.Calendar.Day(f.now), Device: "192.168.1.5",
			Remote: addr("198.51.100.1"), Protocol: 6, Port: 443}
		if k != want || u.UpContacts != 4 || u.DownContacts != 1 ||
			!u.First.Equal(f.now.Add(-600*time.Second)) || !u.Last.Equal(f.now.Add(-90*time.Second)) {
			t.Errorf("%+v: %+v", k, u)
		}
	}
}

// TestService: both directions of a connection count for one destination, whichever end opened it.
func TestService(t *testing.T) {
	for _, c := range []struct {
		name             string
		srcPort, dstPort uint16
		protocol, icmp   uint8
		biflow           uint8
		port             uint16
		inbound          bool // for the source of the record
	}{
		{"client", 40000, 443, 6, 0, 0, 443, false},
		{"server", 443, 40000, 6, 0, 0, 443, true},
		{"said: the source opened it", 443, 40000, 6, 0, 1, 40000, false},
		{"said: the destination did", 40000, 443, 6, 0, 2, 40000, true},
		{"equal ports", 123, 123, 17, 0, 0, 123, false},
		{"without ports", 0, 0, 47, 0, 0, 0, false},
		{"echo request", 0, 0, 1, 8, 0, 0, false},
		{"echo reply", 0, 0, 1, 0, 0, 0, true},
		{"echo request of IPv6", 0, 0, 58, 128, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			one := plain("192.168.1.5", "198.51.100.1", 1)
			one.SrcPort, one.DstPort, one.Protocol = c.srcPort, c.dstPort, c.protocol
			one.ICMPType, one.BiflowDirection = c.icmp, c.biflow
			flows := []decode.Flow{one}
			if c.icmp == 0 && c.protocol != 1 && c.protocol != 58 {
				two := back(one, 2)
				if c.biflow != 0 {
					two.BiflowDirection = 3 - c.biflow
				}
				flows = append(flows, two)
			}
			f.send(elsewhere, flows...)
			b := f.take()
			if len(b.Destinations) != 1 {
				t.Fatalf("got %+v", b.Destinations)
			}
			for k := range b.Destinations {
				if k.Port != c.port || k.Inbound != c.inbound {
					t.Errorf("got %+v", k)
				}
			}
		})
	}
}

// Destinations are written once an hour, on a new day, when they are many, and at the end.
func TestDestinationsAreWrittenLessOften(t *testing.T) {
	f := newFixture(t, func(o *Options) { o.DestinationInterval = 2 * time.Hour })
	f.now = at("2026-11-30T21:30:00Z")
	wants := []bool{false, true, true, false} // after 1, 2, 3, 3.5 hours; the third is a new day
	f.Take(f.now, false)
	for i, after := range []time.Duration{time.Hour, 2 * time.Hour, 3 * time.Hour,
		3*time.Hour + 30*time.Minute} {
		now := f.now.Add(after)
		one := plain("192.168.1.5", "198.51.100.1", 1)
		f.Handle(&decode.Message{Version: 10, Flows: []decode.Flow{one},
			Exporter: netip.MustParseAddrPort(elsewhere)}, nil, now)
		if b := f.Take(now, false); len(b.Destinations) > 0 != wants[i] || len(b.Hours) == 0 {
			t.Errorf("after %s: %d destinations", after, len(b.Destinations))
		}
	}
	if b := f.Take(f.now.Add(4*time.Hour), true); len(b.Destinations) == 0 {
		t.Error("at the end, destinations were left out")
	}
	one := plain("192.168.1.5", "198.51.100.1", 1)
	for i := range maxDestinations / 2 {
		one.DstPort = uint16(i)
		f.Handle(&decode.Message{Version: 10, Flows: []decode.Flow{one},
			Exporter: netip.MustParseAddrPort(elsewhere)}, nil, f.now.Add(4*time.Hour))
	}
	if b := f.Take(f.now.Add(4*time.Hour), false); len(b.Destinations) != maxDestinations/2 {
		t.Errorf("many: %d destinations", len(b.Destinations))
	}
}

// A record that goes on over midnight is in both days.
func TestDestinationsAreOfTheirDays(t *testing.T) {
	f := newFixture(t)
	f.now = at("2026-11-30T00:30:00Z")
	one := plain("192.168.1.5", "198.51.100.1", 60)
	one.Start, one.End = f.now.Add(-time.Hour), f.now
	f.send(elsewhere, one)
	days := map[string]usage.DestinationUsage{}
	for k, u := range f.take().Destinations {
		days[k.Day.String()] = u
	}
	first, second := days["2026-11-29"], days["2026-11-30"]
	if first.WAN.UpBytes != 30 || second.WAN.UpBytes != 30 || first.UpContacts != 1 ||
		second.UpContacts != 0 || !first.Last.Equal(second.First) {
		t.Errorf("got %+v", days)
	}
}

func TestRates(t *testing.T) {
	f := newFixture(t)
	f.now = at("2026-11-30T12:30:00Z")
	f.send(elsewhere, plain("192.168.1.5", "198.51.100.1", 600))
	f.now = f.now.Add(30 * time.Second)
	f.send(elsewhere, plain("198.51.100.1", "192.168.1.5", 1200),
		plain("192.168.1.5", "192.168.1.6", 1e6))
	for after, want := range map[time.Duration]Rate{
		0: {80, 160}, 30 * time.Second: {80, 160}, 60 * time.Second: {40, 80},
		90 * time.Second: {}, time.Hour: {},
	} {
		g := *f.devices.byID["192.168.1.5"] // reading advances it
		if got := g.rate.at(f.now.Add(after)); got != want {
			t.Errorf("after %s: got %v, want %v", after, got, want)
		}
	}
	if all := f.Rates(f.now); len(all) != 1 || all["192.168.1.5"] != (Rate{80, 160}) {
		t.Errorf("got %v", all)
	}
}

// However much is invented, memory is bounded and no byte is lost.
func TestInventedRecordsAreBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	f := newFixture(t, func(o *Options) { o.Max = 50 })
	var sent uint64
	random4 := func() netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(r.Uint32()), byte(r.Uint32()), byte(r.IntN(250))})
	}
	for range 100_000 {
		one := decode.Flow{Src: random4(), Dst: random4(), Bytes: uint64(r.IntN(1000)),
			SrcPort: uint16(r.Uint32()), DstPort: uint16(r.Uint32()), EndReason: 2,
			Input: uint32(r.IntN(1 << 20)), Output: uint32(r.IntN(1 << 20)),
			Direction: uint8(r.IntN(2)), SrcMAC: [6]byte{2, byte(r.Uint32()), byte(r.Uint32())},
			Start: f.now.Add(-time.Duration(r.Int64N(int64(time.Hour)))), InputZone: uint32(r.IntN(9)),
		}
		if r.IntN(20) == 0 {
			one.Start = f.now.Add(-time.Duration(r.Int64N(int64(longest))))
		}
		sent += one.Bytes
		from := netip.AddrPortFrom(random4(), uint16(r.Uint32()))
		f.Handle(&decode.Message{Exporter: from, Version: 10, Domain: r.Uint32(), Sequence: r.Uint32(),
			DataRecords: 1, Flows: []decode.Flow{one}}, nil, f.now)
	}
	c := f.Collector
	for name, n := range map[string][2]int{
		"exporters": {len(c.exporters), maxExporters + 1}, "devices": {len(c.devices.byID), 52},
		"hours":        {len(c.pending.hours), maxHourRows + 200},
		"destinations": {len(c.pending.destinations), maxDestinations + 52*9},
		"intake":       {len(c.pending.exporters), maxIntakeRows + 1},
		"held":         {c.held, maxHeld}, "active": {len(c.active), maxActive},
		"addresses": {len(c.devices.byAddress), 52 * maxAddresses},
		"MACs":      {len(c.devices.byMAC), 52 * 16},
	} {
		if n[0] > n[1] {
			t.Errorf("%d %s, want %d at most", n[0], name, n[1])
		}
	}
	b := f.take()
	var up uint64
	for _, u := range byDevice(b) {
		up += u.WAN.UpBytes + u.LAN.UpBytes
	}
	var down uint64
	for _, u := range byDevice(b) {
		down += u.WAN.DownBytes
	}
	if up+down < sent || total(b).Bytes != sent {
		t.Errorf("%d bytes sent, %d counted up, %d by exporter", sent, up, total(b).Bytes)
	}
	if !maps.Equal(destinationsByDevice(b), byDevice(b)) {
		t.Error("destinations don't add up")
	}
}

// FuzzCollector proves that no record makes it fail or lose bytes.
func FuzzCollector(f *testing.F) {
	f.Add([]byte("abcdefgh"), []byte("ijklmnop"), uint64(10), int64(0), int64(1), uint32(1), uint8(1))
	f.Add([]byte("abcdefghijklmnop"), []byte("abcdefghijklmnoq"), uint64(1<<63), int64(-1<<62),
		int64(1<<62), uint32(0), uint8(0))
	f.Fuzz(func(t *testing.T, src, dst []byte, bytes uint64, start, end int64, index uint32,
		direction uint8) {
		fx := newFixture(t)
		one := decode.Flow{Bytes: bytes, Input: index, Output: index >> 8, Direction: direction,
			Start: time.UnixMilli(start), End: time.UnixMilli(end), EndReason: direction}
		one.Src, _ = netip.AddrFromSlice(src)
		one.Dst, _ = netip.AddrFromSlice(dst)
		fx.send(elsewhere, one, back(one, 1))
		b := fx.take()
		var up, down uint64
		for _, u := range byDevice(b) {
			up += u.WAN.UpBytes + u.LAN.UpBytes
			down += u.WAN.DownBytes + u.LAN.DownBytes
		}
		if up != bytes+1 && down != bytes+1 && up+down != bytes+1 {
			t.Errorf("%d up, %d down of %d", up, down, bytes+1)
		}
		if !maps.Equal(destinationsByDevice(b), byDevice(b)) {
			t.Error("destinations don't add up")
		}
	})
}
