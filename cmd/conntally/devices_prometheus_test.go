package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

const (
	firstRouted  = "192.168.80.10" // hosts behind the client, which are no neighbours
	secondRouted = "192.168.80.11"
)

// devicesRig is a router with two LANs. Its devices are the client and the guest, each with
// IPv4 and IPv6, and two hosts behind the client.
type devicesRig struct {
	*rig
	server netip.AddrPort
}

func newDevicesRig(t *testing.T, patience time.Duration) *devicesRig {
	t.Helper()
	r := newRigWith(t, lab.Options{
		Guest:        true,
		Internet:     []netip.Addr{netip.MustParseAddr("203.0.113.80")},
		BehindClient: []netip.Prefix{netip.MustParsePrefix("192.168.80.0/24")},
		Sysctls: map[string]string{
			"net/netfilter/nf_conntrack_acct": "1", "net/netfilter/nf_conntrack_timestamp": "1",
			"net/netfilter/nf_conntrack_events": "1",
		},
	})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r.ctx = ctx
	for _, address := range []string{firstRouted, secondRouted} {
		r.in(r.Client, "ip", "address", "add", address+"/32", "dev", "lo")
	}
	if err := r.Observe(); err != nil {
		t.Fatal(err)
	}
	return &devicesRig{r, netip.MustParseAddrPort("203.0.113.80:443")}
}

// in runs a command in a namespace.
func (r *rig) in(n *lab.Namespace, name string, args ...string) {
	r.t.Helper()
	err := n.Do(func() error {
		if out, err := exec.CommandContext(r.ctx, name, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// traffic has each device upload and download, and two of them talk to each other.
func (r *devicesRig) traffic(size int) {
	r.t.Helper()
	guest := netip.AddrPortFrom(netip.MustParseAddr(lab.GuestIPv4), lab.PortTCP)
	server6 := netip.AddrPortFrom(netip.MustParseAddr(lab.ServerIPv6), lab.PortTCP)
	for _, f := range []struct {
		host     *lab.Namespace
		from     string
		to       netip.AddrPort
		up, down int
	}{
		{r.Client, lab.ClientIPv4, r.server, size, 10 * size},
		{r.Client, lab.ClientIPv6, server6, size, 3 * size},
		{r.Client, firstRouted, r.server, 5 * size, size},
		{r.Client, secondRouted, r.server, size, size},
		{r.Client, lab.ClientIPv4, guest, size, 2 * size},
		{r.Guest, lab.GuestIPv4, r.server, size, 4 * size},
		{r.Guest, lab.GuestIPv6, server6, 2 * size, size},
	} {
		from := netip.MustParseAddr(f.from)
		family := uint8(unix.AF_INET)
		if from.Is6() {
			family = unix.AF_INET6
		}
		ends := &lab.Ends{Host: f.host, From: from, To: f.to}
		_, err := r.TCP(r.ctx, lab.TCPFlow{Family: family, Up: f.up, Down: f.down, Ends: ends})
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// deviceSeries is a counter of a device: its address or Ethernet address, and what it counts.
type deviceSeries struct{ device, scope, way string }

// counted returns what nftables counted by host, in bytes. owner has the device of each
// address.
func (r *devicesRig) counted(owner map[string]string) map[deviceSeries]float64 {
	r.t.Helper()
	passages, err := r.Observed()
	if err != nil {
		r.t.Fatal(err)
	}
	all := map[deviceSeries]float64{}
	for p, n := range passages {
		from, to := owner[p.From.Addr().String()], owner[p.To.Addr().String()]
		scope := "wan"
		if from != "" && to != "" {
			scope = "lan"
		}
		if from != "" {
			all[deviceSeries{from, scope, "transmit"}] += float64(n.Bytes)
		}
		if to != "" {
			all[deviceSeries{to, scope, "receive"}] += float64(n.Bytes)
		}
	}
	return all
}

// owners returns the device of each address, as the metrics have it.
func (p *prometheus) owners() map[string]string {
	p.t.Helper()
	all := map[string]string{}
	for _, s := range p.query("conntally_device_info", time.Time{}) {
		for _, address := range strings.Fields(s.Metric["addresses"]) {
			all[address] = s.Metric["device"]
		}
	}
	return all
}

// accounts evaluates an expression, in which %s stands for the way, for all devices. What is
// zero is left out.
func (p *prometheus) accounts(expression string, at time.Time) map[deviceSeries]float64 {
	p.t.Helper()
	all := map[deviceSeries]float64{}
	for _, way := range []string{"receive", "transmit"} {
		metric := "conntally_device_" + way + "_bytes_total"
		for _, s := range p.query(fmt.Sprintf(expression, metric), at) {
			if v := s.Value.value(p.t); v != 0 {
				all[deviceSeries{s.Metric["device"], s.Metric["scope"], way}] = v
			}
		}
	}
	return all
}

// settle waits until Prometheus has, for each device, what nftables counted, and returns
// that.
func (r *devicesRig) settle(p *prometheus) map[deviceSeries]float64 {
	r.t.Helper()
	for {
		owners := p.owners()
		want, got := r.counted(owners), p.accounts("%s", time.Time{})
		if len(owners) >= 6 && maps.Equal(got, want) {
			return want
		}
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("of %v\nPrometheus has %v\nnftables     %v", owners, got, want)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// TestPrometheusCountsDevices: a real Prometheus scrapes conntally, and what it has of each
// device is what nftables counted, to the byte. increase() extrapolates: it may be off by
// two scrapes' share of the range. Every panel of the dashboards shows data, and every rule
// can be evaluated. CONNTALLY_PROMETHEUS=5m makes it longer.
func TestPrometheusCountsDevices(t *testing.T) {
	t.Parallel()
	length := prometheusLength(t)
	r := newDevicesRig(t, *patience+2*length)
	s := r.sink()
	r.probe("--config", configFile(t, fmt.Sprintf("[metrics]\nlisten = %q\ndevices = true\n"+
		"labels = { site = \"lab\" }\n[conntrack]\npoll_interval = \"1s\"\nmax_cpu = 100.0\n%s",
		faultMetrics, collectorSection(s.Address()))))
	p := r.prometheus(faultMetrics)

	r.traffic(1000)
	before, began := r.settle(p), time.Now()
	for time.Since(began) < length { // from after the first scrape on
		if err := lab.WaitUntil(r.ctx, time.Now().Add(2*time.Second)); err != nil {
			t.Fatal(err)
		}
		r.traffic(20_000)
	}
	after := r.settle(p)
	ended := time.Now()

	window := fmt.Sprintf("[%dms]", ended.Sub(began).Milliseconds())
	raw := p.accounts("last_over_time(%[1]s"+window+") - min_over_time(%[1]s"+window+")", ended)
	increase := p.accounts("increase(%s"+window+")", ended)
	tolerance := 2 / ended.Sub(began).Seconds() // of two scrapes
	for key, n := range after {
		want := n - before[key]
		if raw[key] != want {
			t.Errorf("%v: last - first is %v, nftables counted %v", key, raw[key], want)
		}
		if math.Abs(increase[key]-want) > tolerance*want {
			t.Errorf("%v: increase is %v, nftables counted %v", key, increase[key], want)
		}
	}
	t.Logf("%d counters in %v: last - first %v, increase %v",
		len(after), ended.Sub(began), raw, increase)
	p.showPanels(window[1 : len(window)-1])
	if broken, all := p.brokenRules(); len(broken) > 0 || all < 30 {
		t.Errorf("of %d rules: %q", all, broken)
	}
}

func prometheusLength(t *testing.T) time.Duration {
	text := os.Getenv("CONNTALLY_PROMETHEUS")
	if text == "" {
		text = "15s"
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return length
}

// showPanels evaluates every query of the dashboards over a range: each returns data.
func (p *prometheus) showPanels(window string) {
	p.t.Helper()
	variables := strings.NewReplacer("$instance", ".*", "$device", ".*",
		"$__rate_interval", "30s", "$__range", window)
	for _, name := range []string{"dashboard.json", "dashboard-devices.json"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", name))
		if err != nil {
			p.t.Fatal(err)
		}
		var board struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &board); err != nil {
			p.t.Fatal(err)
		}
		for _, panel := range board.Panels {
			for _, target := range panel.Targets {
				if len(p.query(variables.Replace(target.Expr), time.Time{})) == 0 {
					p.t.Errorf("%s, %q: no data for %s", name, panel.Title, target.Expr)
				}
			}
		}
	}
}
