package probe

import (
	"context"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/cmd/internal/httpserver"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// serveMetrics serves them until ctx is done, where they are wanted. wait returns once the
// last page is sent.
func (p *Probe) serveMetrics(ctx context.Context, c *config.Config) (wait func(), err error) {
	if c.Metrics.Listen == "" {
		return func() {}, nil
	}
	o := monitor.Options{Address: string(c.Metrics.Listen), Pprof: c.Metrics.Pprof}
	return monitor.Serve(ctx, o, p.sources(), p.log)
}

// sources is what the metrics are read from.
func (p *Probe) sources() *monitor.Sources {
	s := &monitor.Sources{
		Version: p.options.Version, Conntrack: &p.reader.Stats, Flow: &p.table.Stats, Routes: &p.routes.Stats, Probe: &p.Stats, Conditions: p.conditions.Snapshot,
		Neighbours: p.recordOptions.neighbours,
		Collectors: func() []*export.Collector { return *p.collectors.Load() },
		Clock:      p.clock, Began: p.Stats.Turned.Load(), Sysctl: kernel.ReadSysctl, Statistics: kernel.ReadStatistics, Server: httpserver.New(p.log),
	}
	if p.printer != nil {
		s.Print = &p.printer.Stats
	}
	return s
}
