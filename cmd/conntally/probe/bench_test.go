package probe

import (
	"net"
	"net/netip"
	"testing"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/account"
)

// BenchmarkShortFlow is the way of a connection of one packet that no dump has shown, from the
// event of its end to the datagram that its record leaves in, as `conntally run` is wired: with
// routes, devices, filters and a collector that listens. An operation is one connection.
//
// Instructions are counted by valgrind --tool=callgrind, with GODEBUG=cpu.rdtscp=off, as the
// difference between -test.benchtime 120000x and 20000x, in functions of conntally and what they
// call to copy, compare and look up.
func BenchmarkShortFlow(b *testing.B) {
	l := labtest.New(b, lab.Options{
		Sysctls: map[string]string{
			"net/netfilter/nf_conntrack_acct": "1", "net/netfilter/nf_conntrack_timestamp": "1",
			"net/netfilter/nf_conntrack_events": "1",
		},
		Internet: []netip.Addr{v4(198, 18, 0, 1).Netip()}, // for the router to have a default route
	})
	must(b, l.Router.Do(func() error {
		for i := range lanHosts {
			must(b, addNeighbour(lanHost(i), byte(i)))
		}
		return nil
	}))
	for _, c := range []struct {
		name    string
		remotes int
		seen    bool
	}{{"new", 4096, false}, {"known", 4, false}, {"seen", 250, true}} {
		b.Run(c.name, func(b *testing.B) { // in a goroutine of its own
			must(b, l.Router.Do(func() error { benchmarkShortFlow(b, c.remotes, c.seen); return nil }))
		})
	}
}

// benchmarkShortFlow counts flows with so many remote hosts; seen are their first packets, by eBPF.
func benchmarkShortFlow(b *testing.B, remotes int, seen bool) {
	collector, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(b, err)
	defer collector.Close()
	c := config.Default()
	c.Collectors = []config.Collector{{Address: config.Address(collector.LocalAddr().String())}}
	p, err := New(b.Context(), Options{Config: c, Log: zap.NewNop(), Level: zap.NewAtomicLevel()})
	must(b, err)
	defer p.Close()
	p.bind()
	p.endDump(p.clock(), true)
	events, flows := shortFlows(remotes), 0
	if seen {
		see(b, events)
	}
	end := func() {
		if flows%len(events) == 0 { // a poll later
			now := p.clock()
			for i := range events {
				events[i].At, events[i].Start, events[i].Stop = now, now.Wall, now.Wall
			}
			p.endDump(now, true)
		}
		p.apply(&events[flows%len(events)])
		flows++
	}
	for range 3 * len(events) { // until the maps have found their size
		end()
	}
	b.ReportAllocs()
	for b.Loop() {
		end()
	}
	p.sinks.Flush(p.clock())
	if got := int(p.exporter.Collectors[0].Stats.Flows.Load()); got != flows {
		b.Errorf("%d records of %d connections", got, flows)
	}
	for _, d := range p.accounts.Snapshot(p.clock()).Devices {
		if d.ID.Kind == account.ByMAC {
			flows -= int(d.Usage[account.WAN].Up.Packets)
		}
	}
	if flows != 0 {
		b.Errorf("%d connections count for no device with the Internet", flows)
	}
}

const lanHosts = 50

func lanHost(i int) conntrack.Addr { return v4(192, 168, 77, byte(10+i)) }

// addNeighbour lets the router know an Ethernet address in its LAN.
func addNeighbour(a conntrack.Addr, mac byte) error {
	lan, err := net.InterfaceByName(string(lab.LAN))
	if err != nil {
		return err
	}
	conn, err := rtnetlink.Dial(nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	ip := a.V4()
	_, err = conn.Execute(&rtnetlink.NeighMessage{
		Family: unix.AF_INET, Index: uint32(lan.Index), State: unix.NUD_PERMANENT,
		Attributes: &rtnetlink.NeighAttributes{
			Address: ip[:], LLAddress: net.HardwareAddr{2, 0, 0, 0, 0, mac},
		},
	}, unix.RTM_NEWNEIGH, netlink.Request|netlink.Acknowledge|netlink.Create|netlink.Replace)
	return err
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// shortFlows returns the ends of connections of one packet each, between several hosts of a LAN
// and so many others.
func shortFlows(remotes int) []conntrack.Event {
	events := make([]conntrack.Event, 4096)
	for i := range events {
		client, remote := lanHost(i%lanHosts), v4(198, 18, byte(i%remotes>>8), byte(i%remotes))
		router, port := v4(198, 51, 100, 1), uint16(1024+i)
		events[i] = conntrack.Event{
			Type: conntrack.Destroy, ID: uint32(i), Counted: true,
			Status:   conntrack.Confirmed | conntrack.SrcNAT | conntrack.Dying,
			Orig:     conntrack.Tuple{Src: client, Dst: remote, SrcPort: port, DstPort: 443},
			Reply:    conntrack.Tuple{Src: remote, Dst: router, SrcPort: 443, DstPort: port},
			Counters: [2]conntrack.Counters{{Packets: 1, Bytes: 100}},
		}
		for _, t := range []*conntrack.Tuple{&events[i].Orig, &events[i].Reply} {
			t.Family, t.Proto = unix.AF_INET, conntrack.ProtoUDP
		}
	}
	return events
}

// see has the first packets of events known, from the LAN to the Internet.
func see(b *testing.B, events []conntrack.Event) {
	lan, err := net.InterfaceByName(string(lab.LAN))
	must(b, err)
	wan, err := net.InterfaceByName(string(lab.WAN))
	must(b, err)
	for i := range events {
		events[i].Once = true
		events[i].First = conntrack.FirstPacket{
			Known: true, Input: uint32(lan.Index), Output: uint32(wan.Index),
		}
	}
}

func v4(a, b, c, d byte) conntrack.Addr {
	return conntrack.Addr{10: 0xff, 11: 0xff, 12: a, 13: b, 14: c, 15: d}
}
