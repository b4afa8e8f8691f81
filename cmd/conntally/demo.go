package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/export/decode"
)

// demoTimeout bounds the whole demonstration.
const demoTimeout = 25 * time.Second

// runDemo is `conntally demo`.
func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := newFlags("demo", "show it at work on a router made of namespaces", stdout)
	var proto config.Protocol
	fs.Func("protocol", "export by `ipfix` or netflow9 (default ipfix)", func(s string) error {
		return proto.UnmarshalText([]byte(s))
	})
	if err := fs.Parse(args); err != nil {
		return err
	}
	if err := lab.Available(); err != nil {
		return fmt.Errorf("the demo can't run here: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	d, err := newDemo(ctx, proto, stderr)
	if err != nil {
		return err
	}
	defer d.close()
	return d.show(ctx, stdout)
}

// demo is a lab whose router runs the real probe and a collector, which stores the flows.
type demo struct {
	lab    *lab.Lab
	server *server

	ready    chan struct{} // closed at the first message: the probe has started
	received chan []decode.Flow
	stop     context.CancelFunc
	stopped  chan error
}

// demoSysctls returns timeouts that end idle connections during the demonstration.
func demoSysctls() map[string]string {
	return map[string]string{
		"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "2",
		"net/netfilter/nf_conntrack_tcp_timeout_close":     "2",
		"net/netfilter/nf_conntrack_udp_timeout":           "3",
		"net/netfilter/nf_conntrack_icmp_timeout":          "3",
		"net/netfilter/nf_conntrack_icmpv6_timeout":        "3",
	}
}

func newDemo(ctx context.Context, proto config.Protocol, stderr io.Writer) (*demo, error) {
	l, err := lab.New(lab.Options{Sysctls: demoSysctls()})
	if err != nil {
		return nil, err
	}
	d := &demo{
		lab: l, ready: make(chan struct{}), received: make(chan []decode.Flow, 1),
		stopped: make(chan error, 1),
	}
	err = l.Router.Do(func() (err error) {
		d.server, err = newServer("127.0.0.1:0")
		return err
	})
	if err != nil {
		l.Close()
		return nil, err
	}
	go d.collect()
	d.startProbe(ctx, proto, stderr)
	return d, nil
}

// collect receives flows until the server is finished.
func (d *demo) collect() {
	var flows []decode.Flow
	started := false
	_ = d.server.serve(func(m decode.Message, _ error) {
		if !started {
			close(d.ready)
			started = true
		}
		flows = append(flows, m.Flows...)
	})
	d.received <- flows
}

// startProbe runs the probe inside the router. It outlives ctx: its orderly stop is part of
// the demonstration.
func (d *demo) startProbe(ctx context.Context, proto config.Protocol, stderr io.Writer) {
	c := config.Default()
	collector := config.NewCollector(d.server.Address())
	collector.Protocol = proto
	c.Collectors = []config.Collector{collector}
	c.Flow.ActiveTimeout = config.Duration(3 * time.Second)
	c.Flow.IdleTimeout = config.Duration(4 * time.Second)
	c.Conntrack.PollInterval = config.Interval(500 * time.Millisecond)
	c.Conntrack.MaxCPU = 100 // polls must not be stretched

	ctx, d.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		d.stopped <- d.lab.Router.Do(func() error {
			log := logging.New(stderr, logging.FormatAuto, zapcore.WarnLevel)
			p, err := probe.New(ctx, probe.Options{Config: c, Version: version, Log: log})
			if err != nil {
				return err
			}
			defer p.Close()
			return p.Run(ctx)
		})
	}()
}

// close stops whatever still runs. It may be called more than once.
func (d *demo) close() {
	d.stop()
	d.server.Close()
	d.lab.Close()
}

// show generates the traffic, and prints the flows that arrived.
func (d *demo) show(ctx context.Context, stdout io.Writer) error {
	select {
	case <-d.ready:
	case err := <-d.stopped:
		return fmt.Errorf("the probe did not start: %w", err)
	case <-ctx.Done():
		return interrupted(ctx)
	}
	fmt.Fprint(stdout, demoStory)
	if err := d.traffic(ctx); err != nil {
		return err
	}
	flows, err := d.finish(ctx)
	if err != nil {
		return err
	}
	printFlows(stdout, flows)
	return d.compare(ctx, stdout, flows)
}

const demoStory = `A client (192.168.77.10), a NAT router and a server (198.51.100.20), each in a
network namespace. The router runs the probe, with an active timeout of 3 s and
an idle timeout of 4 s. Traffic flows for about 7 s ...

`

// traffic generates connections of each kind and returns when they have ended.
func (d *demo) traffic(ctx context.Context) error {
	var open *lab.Conn
	g, gctx := errgroup.WithContext(ctx)
	tcp := func(f lab.TCPFlow) {
		g.Go(func() error { _, err := d.lab.TCP(gctx, f); return err })
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		tcp(lab.TCPFlow{Family: family, Up: 2000, Down: 1 << 20, End: lab.FIN})
		g.Go(func() error {
			return d.lab.UDP(gctx, lab.UDPFlow{Family: family, Packets: 5, Size: 60,
				Answered: true})
		})
		g.Go(func() error {
			return d.lab.Echo(gctx, lab.EchoFlow{Family: family, Packets: 4, Size: 56})
		})
	}
	g.Go(func() error {
		return d.lab.UDP(gctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 1, Size: 100})
	})
	tcp(lab.TCPFlow{Family: unix.AF_INET, Up: 300, Down: 5000, End: lab.RST})
	tcp(lab.TCPFlow{Family: unix.AF_INET, Down: 700_000, Rate: 100_000, End: lab.FIN})
	g.Go(func() error {
		_, err := d.lab.Forward(gctx, lab.TCPFlow{Family: unix.AF_INET, Up: 500, Down: 40_000,
			End: lab.FIN})
		return err
	})
	g.Go(func() (err error) {
		open, err = d.lab.TCP(gctx, lab.TCPFlow{Family: unix.AF_INET, Up: 1000, Down: 1000,
			End: lab.Open})
		return err
	})
	if err := g.Wait(); err != nil {
		return demoError(ctx, err)
	}
	// The connection that is still open sends once more, before the probe stops.
	return demoError(ctx, open.Send(ctx, 700, 700))
}

// finish stops the probe, which exports what is pending, and returns all flows that arrived.
func (d *demo) finish(ctx context.Context) ([]decode.Flow, error) {
	if _, err := d.lab.Settle(ctx); err != nil {
		return nil, demoError(ctx, err)
	}
	d.stop()
	if err := <-d.stopped; err != nil {
		return nil, err
	}
	if err := d.lab.Router.Do(d.server.Finish); err != nil {
		return nil, err
	}
	return <-d.received, nil
}

// demoError returns err, or why ctx ended if it has.
func demoError(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return interrupted(ctx)
	}
	return err
}

func interrupted(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the demo did not end within %v", demoTimeout)
	}
	return errors.New("interrupted")
}
