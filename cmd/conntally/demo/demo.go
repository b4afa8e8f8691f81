// Package demo is the router that both programs are shown at work on: a lab whose router runs
// the real probe, and traffic of each kind through it.
//
//	New -> Start -> Traffic -> Settle -> Stop
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/cmd/internal/logging"
)

// Timeout bounds the time from the first packet to the last record. A busy emulated machine takes
// ten times as long as others.
const Timeout = 2 * time.Minute

// Router is a lab whose router runs the probe.
type Router struct {
	*lab.Lab
	// Stopped receives the error of the probe when it has ended.
	Stopped chan error
	stop    context.CancelFunc
}

// New builds the lab, with default routes to addresses of the server, if there are any. Close
// takes it down.
func New(internet ...netip.Addr) (*Router, error) {
	if err := lab.Available(); err != nil {
		return nil, fmt.Errorf("the demo can't run here: %w", err)
	}
	l, err := lab.New(lab.Options{Sysctls: sysctls(), Internet: internet})
	if err != nil {
		return nil, err
	}
	return &Router{Lab: l, Stopped: make(chan error, 1), stop: func() {}}, nil
}

// Close stops whatever still runs. It may be called more than once.
func (r *Router) Close() error {
	r.stop()
	return r.Lab.Close()
}

// sysctls returns timeouts that end idle connections during the demonstration.
func sysctls() map[string]string {
	return map[string]string{
		"net/netfilter/nf_conntrack_tcp_timeout_time_wait": "2",
		"net/netfilter/nf_conntrack_tcp_timeout_close":     "2",
		"net/netfilter/nf_conntrack_udp_timeout":           "3",
		"net/netfilter/nf_conntrack_icmp_timeout":          "3",
		"net/netfilter/nf_conntrack_icmpv6_timeout":        "3",
	}
}

// Config returns the configuration of a probe that exports to a collector, often enough for a
// demonstration.
func Config(collector string) *config.Config {
	c := config.Default()
	c.Collectors = []config.Collector{config.NewCollector(collector)}
	c.Flow.ExtraFields = []config.ExtraField{config.ExtraMAC}
	c.Flow.ActiveTimeout = config.Duration(3 * time.Second)
	c.Flow.IdleTimeout = config.Duration(4 * time.Second)
	c.Conntrack.PollInterval = config.Interval(500 * time.Millisecond)
	c.Conntrack.MaxCPU = 100 // polls must not be stretched
	c.Control.Socket = ""    // it is the service's
	return c
}

// Start runs the probe inside the router. It outlives ctx: its orderly stop is part of the
// demonstration.
func (r *Router) Start(
	ctx context.Context, c *config.Config, version string, stderr io.Writer,
) {
	ctx, r.stop = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		r.Stopped <- r.Router.Do(func() error {
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

// Stop stops the probe, which exports what is pending.
func (r *Router) Stop() error {
	r.stop()
	return <-r.Stopped
}

// Traffic generates connections of each kind and returns when they have ended.
func (r *Router) Traffic(ctx context.Context) error {
	var open *lab.Conn
	g, gctx := errgroup.WithContext(ctx)
	tcp := func(f lab.TCPFlow) {
		g.Go(func() error { _, err := r.TCP(gctx, f); return err })
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		tcp(lab.TCPFlow{Family: family, Up: 2000, Down: 1 << 20, End: lab.FIN})
		g.Go(func() error {
			return r.UDP(gctx, lab.UDPFlow{Family: family, Packets: 5, Size: 60,
				Answered: true})
		})
		g.Go(func() error {
			return r.Echo(gctx, lab.EchoFlow{Family: family, Packets: 4, Size: 56})
		})
	}
	g.Go(func() error {
		return r.UDP(gctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 1, Size: 100})
	})
	tcp(lab.TCPFlow{Family: unix.AF_INET, Up: 300, Down: 5000, End: lab.RST})
	tcp(lab.TCPFlow{Family: unix.AF_INET, Down: 700_000, Rate: 100_000, End: lab.FIN})
	g.Go(func() error {
		_, err := r.Forward(gctx, lab.TCPFlow{Family: unix.AF_INET, Up: 500, Down: 40_000,
			End: lab.FIN})
		return err
	})
	g.Go(func() (err error) {
		open, err = r.TCP(gctx, lab.TCPFlow{Family: unix.AF_INET, Up: 1000, Down: 1000,
			End: lab.Open})
		return err
	})
	if err := g.Wait(); err != nil {
		return Explain(ctx, err)
	}
	// The connection that is still open sends once more, before the probe stops.
	return Explain(ctx, open.Send(ctx, 700, 700))
}

// Explain returns err, or why ctx ended if it has.
func Explain(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return Interrupted(ctx)
	}
	return err
}

// Interrupted returns why ctx ended.
func Interrupted(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the demo did not end within %v", Timeout)
	}
	return errors.New("interrupted")
}

// Classes returns the kinds of traffic, by family and protocol.
func Classes(m map[lab.Class]lab.Count) []lab.Class {
	return slices.SortedFunc(maps.Keys(m), func(a, b lab.Class) int {
		if a.Family != b.Family {
			return int(a.Family) - int(b.Family)
		}
		return int(a.Proto) - int(b.Proto)
	})
}

// ClassName returns the name of a kind of traffic, such as "IPv6 tcp".
func ClassName(c lab.Class) string {
	family := "IPv4"
	if c.Family == unix.AF_INET6 {
		family = "IPv6"
	}
	return family + " " + print.Protocol(c.Proto)
}
