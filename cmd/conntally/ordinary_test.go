package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/noise"
	"github.com/conntally/conntally/cmd/conntally/condition"
)

const (
	ordinarySeeds  = 4
	ordinaryRounds = 6  // each is looked up before the next begins
	ordinaryEvents = 60 // of a round, half of them noise

	ordinaryWAN = 4 // index of the uplink
)

// TestRightUnderOrdinaryTraffic mixes what a LAN's hosts and the router really do with a
// LAN's noise, in random order. Each record has the interfaces that its packets took, and
// all records together are what the router's rules counted, connection by connection, to
// the byte: in both views, by both protocols. Nothing is lost, and the log complains of
// nothing.
func TestRightUnderOrdinaryTraffic(t *testing.T) {
	t.Parallel()
	for seed := range uint64(ordinarySeeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := newOrdinaryRig(t, seed)
			probes := []*ordinaryProbe{r.ordinaryProbe("endpoints"), r.ordinaryProbe("wire")}
			r.begin()
			for range ordinaryRounds {
				r.round()
				for _, p := range probes {
					p.untilDumped()
				}
			}
			if err := r.Freeze(); err != nil {
				t.Fatal(err)
			}
			for _, p := range probes {
				p.lostNothing()
				r.stop(p.process)
				p.complainsOfNothing()
			}
			r.compare(probes)
		})
	}
}

// ordinaryRig is a home with two LANs.
type ordinaryRig struct {
	*rig
	rand  *rand.Rand
	seed  uint64
	noise *noise.Source
}

// newOrdinaryRig is of a router whose connections soon end.
func newOrdinaryRig(t *testing.T, seed uint64) *ordinaryRig {
	t.Helper()
	sysctls := map[string]string{}
	for _, setting := range []string{
		"acct", "timestamp", "events", "generic_timeout", "gre_timeout", "gre_timeout_stream",
		"icmp_timeout", "icmpv6_timeout", "udp_timeout", "udp_timeout_stream",
		"tcp_timeout_time_wait", "tcp_timeout_close",
	} {
		sysctls["net/netfilter/nf_conntrack_"+setting] = "1"
	}
	r := newRigWith(t, lab.Options{Guest: true, Internet: internet(), Sysctls: sysctls})
	if err := r.Observe(); err != nil {
		t.Fatal(err)
	}
	return &ordinaryRig{rig: r, seed: seed, rand: rand.New(rand.NewPCG(seed, 1))}
}

// begin starts the router's services and its noise.
func (r *ordinaryRig) begin() {
	r.t.Helper()
	lan := []string{lab.RouterLANIPv4, lab.RouterLANIPv6}
	err := r.Serve(r.Router, netip.MustParseAddr(lan[0]), netip.MustParseAddr(lan[1]))
	if err != nil {
		r.t.Fatal(err)
	}
	if r.noise, err = noise.New(r.Lab, internet()[0], r.seed); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := r.noise.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

// round runs the conversations of a round, a few at a time.
func (r *ordinaryRig) round() {
	r.t.Helper()
	g, ctx := errgroup.WithContext(r.ctx)
	g.SetLimit(4)
	for range ordinaryEvents {
		do := r.noise.Next().Make
		if r.rand.IntN(2) == 0 {
			do = r.ordinary()
		}
		g.Go(func() error { return do(ctx) })
	}
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
}

// conversation is between two hosts, with addresses of either family.
type conversation struct {
	host     *lab.Namespace
	from, to [2]string
	port     uint16 // of a forwarded one
}

func (r *ordinaryRig) conversations() []conversation {
	client, guest := [2]string{lab.ClientIPv4, lab.ClientIPv6},
		[2]string{lab.GuestIPv4, lab.GuestIPv6}
	server := [2]string{lab.ServerIPv4, lab.ServerIPv6}
	low, far := [2]string{"192.0.2.9", "2001:db8:200::9"},
		[2]string{"203.0.113.9", "2001:db8:200::9"}
	forwarded := [2]string{lab.RouterWANIPv4, lab.ClientIPv6}
	return []conversation{
		{host: r.Client, from: client, to: low},
		{host: r.Client, from: client, to: far},
		{host: r.Client, from: client, to: server},
		{host: r.Client, from: client, to: guest},
		{host: r.Client, from: client, to: [2]string{lab.RouterLANIPv4, lab.RouterLANIPv6}},
		{host: r.Guest, from: guest, to: far},
		{host: r.Router, from: [2]string{lab.RouterWANIPv4, lab.RouterWANIPv6}, to: far},
		{host: r.Server, from: far, to: forwarded, port: lab.PortForward},
		{host: r.Server, from: server, to: forwarded, port: lab.PortForward},
	}
}

// ordinary draws a conversation, by TCP, UDP or ICMP.
func (r *ordinaryRig) ordinary() func(context.Context) error {
	all := r.conversations()
	c, at := all[r.rand.IntN(len(all))], r.rand.IntN(2)
	family := [2]uint8{unix.AF_INET, unix.AF_INET6}[at]
	from, to := netip.MustParseAddr(c.from[at]), netip.MustParseAddr(c.to[at])
	ends := func(port uint16) *lab.Ends {
		return &lab.Ends{Host: c.host, From: from, To: netip.AddrPortFrom(to, port)}
	}
	size, down, end := r.rand.IntN(1000), r.rand.IntN(100_000), lab.End(r.rand.IntN(2))
	what := r.rand.IntN(4)
	switch {
	case c.port != 0 && family == unix.AF_INET:
		f := lab.TCPFlow{Family: family, Up: size, Down: down, End: end, Ends: ends(c.port)}
		return func(ctx context.Context) error { _, err := r.TCP(ctx, f); return err }
	case c.port != 0 || what < 2:
		f := lab.TCPFlow{Family: family, Up: size, Down: down, End: end, Ends: ends(lab.PortTCP)}
		return func(ctx context.Context) error { _, err := r.TCP(ctx, f); return err }
	case what == 2:
		f := lab.UDPFlow{Family: family, Packets: 1 + size%5, Size: size, Answered: true}
		f.Ends = ends(lab.PortAnswer)
		return func(ctx context.Context) error { return r.UDP(ctx, f) }
	}
	f := lab.EchoFlow{Family: family, Packets: 1 + size%5, Size: size, Ends: ends(0)}
	return func(ctx context.Context) error { return r.Echo(ctx, f) }
}

// ordinaryProbe is a probe that exports by both protocols.
type ordinaryProbe struct {
	*process
	rig     *rig
	nat     string
	metrics string // where they are served
	state   string // directory
	sinks   map[string]*sink
}

func (r *ordinaryRig) ordinaryProbe(nat string) *ordinaryProbe {
	r.t.Helper()
	p := &ordinaryProbe{rig: r.rig, nat: nat, metrics: faultMetrics, state: r.t.TempDir(),
		sinks: map[string]*sink{}}
	if nat == "wire" {
		p.metrics = "127.0.0.1:9470"
	}
	var b strings.Builder
	for _, protocol := range []string{"ipfix", "netflow9"} {
		s := r.sink()
		enlarge(r.t, s.conn)
		p.sinks[protocol] = s
		fmt.Fprintf(&b, "[[collector]]\naddress = %q\nprotocol = %q\n", s.Address(), protocol)
	}
	fmt.Fprintf(&b, `[flow]
active_timeout = "2s"
idle_timeout = "1s"
nat = %q
state_directory = %q
[conntrack]
poll_interval = "250ms"
max_cpu = 100.0
[control]
socket = %q
[metrics]
listen = %q
[log]
format = "json"
`, nat, p.state, filepath.Join(p.state, "control.sock"), p.metrics)
	p.process = r.probe("--config", configFile(r.t, b.String()))
	return p
}

// untilDumped waits until a dump has read all present entries.
func (p *ordinaryProbe) untilDumped() {
	p.t.Helper()
	const dumps = "conntrack_dumps_total"
	for before := p.rig.scrapeAt(p.metrics)[dumps]; p.rig.scrapeAt(p.metrics)[dumps] < before+2; {
		if p.rig.ctx.Err() != nil {
			p.t.Fatalf("no dump:\n%s", p)
		}
	}
}

// lostNothing checks all metrics that count a loss or a failure.
func (p *ordinaryProbe) lostNothing() {
	p.t.Helper()
	m := p.rig.scrapeAt(p.metrics)
	for _, name := range []string{
		"conntrack_dropped_events_total", "conntrack_overruns_total", "conntrack_malformed_total",
		"conntrack_failed_dumps_total", "conntrack_discarded_dumps_total",
		"conntrack_reopened_total",
		"conntrack_stalls_total",
		"flows_vanished_total", "flows_uncounted_total", "flows_full_total", "flows_rewound_total",
		"flows_baselined_total", "state_errors_total",
		"link_overruns_total", "link_failures_total", "link_malformed_total",
		"export_unsent_records_total", "export_lost_flow_records_total",
		"export_lost_packets_total",
		"export_lost_bytes_total", "export_refused_total", "export_errors_total",
		"export_dial_errors_total",
	} {
		if n, ok := m[name]; n != 0 || !ok {
			p.t.Errorf("nat %s: %s is %v (there: %t)", p.nat, name, n, ok)
		}
	}
}

// complainsOfNothing fails for warnings and errors in the log, except those about the clock,
// which is the machine's.
func (p *ordinaryProbe) complainsOfNothing() {
	p.t.Helper()
	for line := range strings.Lines(p.String()) {
		var entry struct {
			Level     string
			Condition condition.ID
		}
		err := json.Unmarshal([]byte(line), &entry)
		if err != nil || entry.Level != "info" && entry.Condition != condition.ClockUnsynced {
			p.t.Errorf("nat %s: the log says: %s", p.nat, line)
		}
	}
}

// compare compares what each collector has with what passed the router.
func (r *ordinaryRig) compare(probes []*ordinaryProbe) {
	r.t.Helper()
	passed, err := r.Observed()
	if err != nil {
		r.t.Fatal(err)
	}
	want := ways{}
	for p, c := range passed {
		want.add(way{p.Proto, p.From, p.To, p.Input, p.Output}, c)
	}
	r.t.Logf("%d ways: %v", len(want), want.totals())
	for _, p := range probes {
		compareDevices(r.t, "nat "+p.nat, p.state, passed)
		for protocol, s := range p.sinks {
			who := fmt.Sprintf("nat %s by %s", p.nat, protocol)
			got := ways{}
			for _, f := range s.all() {
				got.add(wayOf(&f), lab.Count{Packets: f.Packets, Bytes: f.Bytes})
				if (f.Direction == 1) != (f.Output == ordinaryWAN) {
					r.t.Errorf("%s: direction %d of %v", who, f.Direction, wayOf(&f))
				}
			}
			want.equals(r.t, who, got)
		}
	}
}

const loopbackIndex = 1
