package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/internal/logging"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/filter"
	"github.com/conntally/conntally/flow/route"
)

// runRun is `conntally run`.
func runRun(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, a, err := loadConfig(args, stdout)
	if err != nil {
		return err
	}
	if a.CheckOnly {
		return sayGood(a, stdout)
	}
	beThrifty(ctx, c.Metrics.Pprof)
	level := zap.NewAtomicLevelAt(c.Log.Level.Level)
	log := logging.New(stderr, c.Log.Format, level)
	defer log.Sync()                                                //nolint:errcheck // a terminal can't be synced
	interactive := !signal.Ignored(syscall.SIGHUP) && hasTerminal() // nohup(1) has it ignored
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	if c.Conntrack.Track {
		tracking, err := kernel.Track()
		if err != nil {
			return fmt.Errorf("--track: %w", explain(err))
		}
		defer tracking.Close()
	}
	p, err := newProbe(ctx, c, stateDirectory(c), log)
	if err != nil {
		return explain(err)
	}
	defer p.close()
	p.level = level
	if len(c.Collectors) == 0 {
		log.Info("no collector is configured: flows are printed to the standard output")
		p.printTo(stdout)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	go p.reloader(args, c, end).run(ctx, hangups, interactive)
	served, err := p.serveMetrics(ctx, c)
	if err != nil {
		return err
	}
	defer func() { end(); served() }()
	return p.run(ctx)
}

// explain puts in front of a refusal of the kernel what it wants.
func explain(err error) error {
	switch {
	case errors.Is(err, unix.EPROTONOSUPPORT): // of socket(2)
		return fmt.Errorf("nfnetlink is not loaded, and could not be: %s (%w)", condition.Modprobe, err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("this takes CAP_NET_ADMIN, which root has and a service can be given: %w", err)
	}
	return err
}

// newProbe prepares the kernel and wires reader, table and exporter. It opens first:
// where that isn't allowed, nothing else is, and needn't be said. state is the directory
// of its state, "" for none.
func newProbe(ctx context.Context, c *config.Config, state string, log *zap.Logger) (*probe, error) {
	clock := conntrack.SystemClock()
	reader, err := ctnetlink.Open(ctnetlink.Options{
		ReceiveBuffer: int(c.Conntrack.ReceiveBuffer), Reliable: c.Conntrack.Reliable,
	}, clock)
	if err != nil {
		return nil, err
	}
	_ = kernel.Available() // loads what is missing: else there are no settings yet
	p := &probe{
		config: c, plans: make(chan plan, 1), reader: reader, clock: clock, log: log,
		conditions: condition.NewTracker(log), readKernel: condition.ReadKernel,
	}
	p.observeKernel(clock())
	routes, err := route.Open(route.Options{Mark: c.Flow.RouteMark, Clock: clock, Renamed: reader.Interrupt})
	if err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	content, err := newContent(ctx, c, routes, clock)
	if err != nil {
		return nil, errors.Join(err, routes.Close(), reader.Close())
	}
	collectors := openCollectors(ctx, targets(c.Collectors, content.Optional), clock, log)
	exporter := &export.Exporter{Collectors: collectors, Interfaces: routes}
	began := clock()
	p.routes, p.exporter, p.content, p.began = routes, exporter, content, began.Wall
	p.sinks = flow.Sinks{exporter}
	p.table = flow.NewTable(p.flowOptions(), kernel.ReadTimeouts(), &p.sinks, began)
	if p.journal = openJournal(state, p.table, began, p.stateWritten, log); p.journal != nil {
		exporter.Commit = p.commit
	}
	p.manager = notify.New(func(err error) { log.Warn("can't tell the service manager", zap.Error(err)) })
	p.collectors.Store(&collectors)
	buffer := reader.ReceiveBuffer()
	p.Stats.Turned.Store(began.Mono)
	p.observeBuffer(began, buffer)
	p.pacer = newPacer(c.Poll(), c.Conntrack.MaxCPU/100, buffer, &p.Stats)
	return p, nil
}

// flowOptions returns what the configuration says of connections.
func (p *probe) flowOptions() flow.Options {
	c, kept := p.config, filter.New(p.config.Rules(), p.routes)
	return flow.Options{
		Active: time.Duration(c.Flow.ActiveTimeout), Idle: time.Duration(c.Flow.IdleTimeout),
		NAT: c.Flow.NAT.View, MaxFlows: maxFlows(c), Routes: p.routes,
		Skip:      func(e *conntrack.Event) bool { return p.owns(e) || !kept.Keeps(e) },
		NATEvents: p.content.NATEvents, Describe: p.content.describe,
	}
}

// owns tells whether e is a connection that the export makes, or made in an earlier life:
// such are met by the first dump. Of those without a start time only what moves counts.
func (p *probe) owns(e *conntrack.Event) bool {
	earlier := p.Stats.Dumped.Load() == 0 && 0 < e.Start && e.Start < p.began
	return p.exporter.Owns(&e.Orig) || earlier && p.exporter.OwnedBefore(&e.Orig)
}

// maxFlows bounds the table by what the kernel itself can hold.
func maxFlows(c *config.Config) int {
	if c.Flow.MaxFlows > 0 {
		return c.Flow.MaxFlows
	}
	n, _ := kernel.ReadSysctl("max") // unknown: no bound but the kernel's
	return n
}

// openPatience is for all names together: events wait meanwhile.
const openPatience = 5 * time.Second

// openCollectors prepares collectors. One that can't be reached goes on trying.
func openCollectors(ctx context.Context, list []export.Target, clock conntrack.Clock, log *zap.Logger) []*export.Collector {
	ctx, cancel := context.WithTimeout(ctx, openPatience)
	defer cancel()
	var all []*export.Collector
	for _, t := range list {
		collector := export.NewCollector(t, clock)
		if err := collector.Open(ctx); err != nil {
			log.Warn("collector can't be reached yet, will go on trying", zap.String("collector", t.Address), zap.Error(err))
		} else {
			log.Info("exporting", zap.String("collector", collector.Target.Address), zap.Stringer("protocol", collector.Target.Protocol))
		}
		all = append(all, collector)
	}
	return all
}

func targets(list []config.Collector, o export.Optional) []export.Target {
	var all []export.Target
	for _, cc := range list {
		all = append(all, export.Target{
			Address: string(cc.Address), Protocol: cc.Protocol.Value(),
			Source: cc.Source.Addr, MaxDatagram: cc.MaxDatagram, Optional: o,
		})
	}
	return all
}
