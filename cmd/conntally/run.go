package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow"
)

// runRun is `conntally run`.
func runRun(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	c, err := loadConfig(args, stdout)
	if err != nil {
		return err
	}
	log := newLogger(stderr, c.Log.Level)
	defer log.Sync() //nolint:errcheck // a terminal can't be synced

	if len(c.Collectors) == 0 {
		log.Info("no collector is configured: flows are printed here")
		finish, err := printHere(c, stdout)
		if err != nil {
			return err
		}
		defer finish()
	}
	if c.Conntrack.Track {
		tracking, err := conntrack.Track()
		if err != nil {
			return fmt.Errorf("--track: %w", explain(err))
		}
		defer tracking.Close()
	}
	p, err := newProbe(ctx, c, log)
	if err != nil {
		return explain(err)
	}
	defer p.reader.Close()
	if c.Metrics.Listen != "" {
		if err := serveMetrics(ctx, c.Metrics.Listen, p); err != nil {
			return err
		}
	}
	return p.run(ctx)
}

// printHere exports to an embedded collector that prints each flow. finish waits
// until all that was exported is printed.
func printHere(c *config, stdout io.Writer) (finish func(), err error) {
	s, err := newServer("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.Collectors = []collectorConfig{{Address: s.Address()}}
	out := printer(stdout, false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.serve(func(m decode.Message, _ error) {
			for i := range m.Flows {
				out(&m.Flows[i])
			}
		})
	}()
	return func() {
		if s.Finish() != nil {
			s.Close()
		}
		<-done
	}, nil
}

// explain adds to a refusal of the kernel what it wants.
func explain(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: run as root, or with CAP_NET_ADMIN", err)
	}
	return err
}

// newProbe prepares the kernel and wires reader, table and exporter.
func newProbe(ctx context.Context, c *config, log *zap.Logger) (*probe, error) {
	clock := conntrack.SystemClock()
	prepareKernel(log)
	reader, err := conntrack.Open(conntrack.Options{
		ReceiveBuffer: int(c.Conntrack.ReceiveBuffer), Reliable: c.Conntrack.Reliable,
	}, clock)
	if err != nil {
		return nil, err
	}
	exporter := newExporter(ctx, c, clock, log)
	options := flow.Options{
		Active: time.Duration(c.Flow.ActiveTimeout), Idle: time.Duration(c.Flow.IdleTimeout),
		NAT: c.Flow.NAT.View, MaxFlows: maxFlows(c), Skip: exporter.Owns,
	}
	began := clock()
	p := &probe{
		reader: reader, exporter: exporter, clock: clock, log: log, reliable: c.Conntrack.Reliable,
		table: flow.NewTable(options, conntrack.ReadTimeouts(), exporter, began),
	}
	if p.journal = openJournal(stateDirectory(c), p.table, began, log); p.journal != nil {
		exporter.BeforeSend = p.journal.write
	}
	p.buffer = reader.ReceiveBuffer()
	p.pacer = newPacer(c.pollInterval(), c.Conntrack.MaxCPU/100, p.buffer, &p.Stats)
	return p, nil
}

// maxFlows bounds the table by what the kernel itself can hold.
func maxFlows(c *config) int {
	if c.Flow.MaxFlows > 0 {
		return c.Flow.MaxFlows
	}
	n, _ := conntrack.ReadSysctl("max") // unknown: no bound but the kernel's
	return n
}

// prepareKernel turns on what accounting needs, and says what it can't.
func prepareKernel(log *zap.Logger) {
	for _, s := range conntrack.Enable() {
		switch {
		case s.Err != nil:
			log.Warn("can't turn on accounting in the kernel", zap.String("setting", s.Name),
				zap.Error(s.Err), zap.String("mend", s.Command()))
		case s.Changed():
			log.Info("turned on in the kernel; older connections stay without",
				zap.String("setting", s.Name), zap.Int("was", s.Was))
		}
	}
	if on, err := conntrack.Tracking(); err != nil {
		log.Debug("can't tell whether connections are tracked", zap.Error(err))
	} else if !on {
		log.Warn("the kernel tracks no connections: no rule asks for it; use --track or a rule",
			zap.String("mend", conntrack.TrackRule))
	}
}

func newExporter(ctx context.Context, c *config, clock conntrack.Clock, log *zap.Logger) *export.Exporter {
	e := new(export.Exporter)
	for _, cc := range c.Collectors {
		target := export.Target{Address: cc.Address, Protocol: cc.Protocol.value()}
		collector := export.NewCollector(target, clock)
		if err := collector.Open(ctx); err != nil {
			log.Warn("collector can't be reached yet, will go on trying", zap.Error(err))
		} else {
			log.Info("exporting", zap.String("collector", cc.Address), zap.Stringer("protocol", target.Protocol))
		}
		e.Collectors = append(e.Collectors, collector)
	}
	return e
}
