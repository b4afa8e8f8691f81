package main

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

// How far a flow's times may differ from those of its packets.
const (
	startWithin = 10 * time.Millisecond
	endWithin   = time.Second
)

// TestFlowTimesMatchPackets: start and end of a hundred flows, which expire or are closed.
func TestFlowTimesMatchPackets(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"as they end": {"--idle-timeout", "60s"},
		"as they go":  {"--idle-timeout", "1s", "--active-timeout", "2s"},
	} {
		for _, protocol := range []string{"ipfix", "netflow9"} {
			t.Run(name+" by "+protocol, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, map[string]string{
					"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "3",
					"net/netfilter/nf_conntrack_tcp_timeout_close":     "3",
					"net/netfilter/nf_conntrack_udp_timeout":           "4",
					"net/netfilter/nf_conntrack_udp_timeout_stream":    "5",
					"net/netfilter/nf_conntrack_icmp_timeout":          "3",
					"net/netfilter/nf_conntrack_icmpv6_timeout":        "3",
				})
				watch, c, s := r.oracle(), r.capture(), r.sink()
				p := r.probe(append([]string{"--collector", s.Address(), "--protocol", protocol,
					"--poll-interval", "1s"}, args...)...)
				watch.untilEnded(r, r.timedTraffic())
				r.stop(p)
				checkTimes(t, c.all(), s.all())
			})
		}
	}
}

// timedTraffic sends flows of all kinds that last up to three seconds, and returns
// how many there are.
func (r *rig) timedTraffic() (flows int) {
	r.t.Helper()
	g, ctx := errgroup.WithContext(r.ctx)
	do := func(fn func() error) { flows++; g.Go(fn) }
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for i := range 10 {
			pause := time.Duration(i) * 100 * time.Millisecond
			do(func() error {
				return r.UDP(ctx, lab.UDPFlow{Family: family, Packets: 1, Size: 60})
			})
			do(func() error {
				return r.UDP(ctx, lab.UDPFlow{Family: family, Packets: 4, Size: 60,
					Answered: i%2 == 0, Interval: pause})
			})
			for _, end := range []lab.End{lab.FIN, lab.RST} {
				do(func() error {
					_, err := r.TCP(ctx, lab.TCPFlow{Family: family, Up: 1000, Down: 300 * i,
						Rate: 1000, End: end})
					return err
				})
			}
			do(func() error {
				_, err := r.Forward(ctx, lab.TCPFlow{Family: family, Down: 3000 * i, Rate: 10_000,
					End: lab.FIN})
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		r.t.Fatal(err)
	}
	return flows
}

// checkTimes compares the first start and the last end of each connection.
func checkTimes(t *testing.T, packets map[flowKey]span, flows []decode.Flow) {
	t.Helper()
	exported := map[flowKey]span{}
	for _, f := range flows {
		if f.End.Before(f.Start) {
			t.Errorf("ends before it starts: %+v", f)
		}
		key := flowKey{f.Protocol, f.Src, f.Dst, f.SrcPort, f.DstPort}
		if _, ok := packets[key]; !ok {
			key = key.reversed()
		}
		s, known := exported[key]
		if !known || f.Start.Before(s.first) {
			s.first = f.Start
		}
		if f.End.After(s.last) {
			s.last = f.End
		}
		exported[key] = s
	}
	var starts, ends []time.Duration
	for key, want := range packets {
		got, known := exported[key]
		if !known {
			t.Errorf("%v: no flow", key)
			continue
		}
		start, end := got.first.Sub(want.first).Abs(), got.last.Sub(want.last).Abs()
		starts, ends = append(starts, start), append(ends, end)
		if start > startWithin || end > endWithin {
			t.Errorf("%v: starts %v and ends %v off its packets (%v to %v)", key, start, end,
				want.first, want.last)
		}
	}
	if len(starts) != 100 {
		t.Fatalf("%d flows", len(starts))
	}
	slices.Sort(starts)
	slices.Sort(ends)
	t.Logf("starts are off by %v (median) to %v, ends by %v to %v", starts[50], starts[99],
		ends[50], ends[99])
}
