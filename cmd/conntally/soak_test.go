package main

import (
	"context"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/noise"
)

// soakVariable sets how long TestEachCollectorGetsEveryByteOnce goes on, such as "10m";
// without it, for one round of traffic. make soak sets it.
const soakVariable = "CONNTALLY_SOAK"

const (
	soakRound = 5 * time.Second // one round begins after another
	soakNoise = 50              // events per second
)

func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv(soakVariable)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s: %v", soakVariable, err)
	}
	return d
}

// internet returns addresses of the server that default routes lead to.
func internet() []netip.Addr {
	return []netip.Addr{
		netip.MustParseAddr("203.0.113.9"), netip.MustParseAddr("192.0.2.9"),
		netip.MustParseAddr("2001:db8:200::9"),
	}
}

// soak sends mixed traffic for some time, at least once, with noise beside it. It returns
// how many connections there were, how many of them are left open, and how many events of
// noise.
func (r *rig) soak(long time.Duration) (flows, left, events int) {
	r.t.Helper()
	source, err := noise.New(r.Lab, internet()[0], 1)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() {
		if err := source.Close(); err != nil {
			r.t.Error(err)
		}
	}()
	ctx, quiet := context.WithCancel(r.ctx)
	defer quiet()
	var beside errgroup.Group
	beside.Go(func() (err error) { events, err = source.Run(ctx, soakNoise); return err })
	for begin, next := time.Now(), time.Duration(0); next == 0 || next < long; next += soakRound {
		if err := lab.WaitUntil(r.ctx, begin.Add(next)); err != nil {
			r.t.Fatal(err)
		}
		n, open := r.mixedTraffic()
		flows, left = flows+n, left+open
	}
	quiet()
	if err := beside.Wait(); err != nil {
		r.t.Error(err)
	}
	return flows, left, events
}

// tallies returns what the router's rules counted, by flow and by protocol.
func (r *rig) tallies() (flows tally, classes map[lab.Class]lab.Count) {
	r.t.Helper()
	passed, err := r.Observed()
	if err != nil {
		r.t.Fatal(err)
	}
	flows, classes = tally{}, map[lab.Class]lab.Count{}
	for p, c := range passed {
		key := flowKey{p.Proto, p.From.Addr(), p.To.Addr(), p.From.Port(), p.To.Port()}
		flows.add(key, c.Packets, c.Bytes)
		class := lab.Class{Family: unix.AF_INET, Proto: p.Proto}
		if p.From.Addr().Is6() {
			class.Family = unix.AF_INET6
		}
		sum := classes[class]
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
		classes[class] = sum
	}
	return flows, classes
}
