package probe

import (
	"context"

	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/cmd/internal/httpserver"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// serveMetrics serves metrics until ctx is done, if c configures an address. wait returns
// once the last response is sent.
func (p *Probe) serveMetrics(ctx context.Context, c *config.Config) (wait func(), err error) {
	if c.Metrics.Listen == "" {
		return func() {}, nil
	}
	o := monitor.Options{Address: string(c.Metrics.Listen), Pprof: c.Metrics.Pprof}
	return monitor.Serve(ctx, o, p.sources(), p.log)
}

// sources returns what the metrics are read from.
func (p *Probe) sources() *monitor.Sources {
	s := &monitor.Sources{
		Version:    p.options.Version,
		Conntrack:  &p.reader.Stats,
		Flow:       &p.table.Stats,
		Routes:     &p.routes.Stats,
		Probe:      &p.Stats,
		Conditions: p.conditions.Snapshot,
		Collectors: func() []*export.Collector { return *p.collectors.Load() },
		Server:     httpserver.New(p.log),
		Clock:      p.clock,
		Began:      p.Stats.Turned.Load(),
		Sysctl:     kernel.ReadSysctl,
		Statistics: kernel.ReadStatistics,
	}
	s.Source = func() (name, step, dumps string) {
		is := p.source.Load()
		name, step, _ = is.describe()
		dumps, _ = is.describeDumps()
		return name, step, dumps
	}
	s.Labels = p.config.Metrics.Labels
	devices := p.config.Metrics.Devices // a reload can't change it
	s.Usage = func() *monitor.Usage { return p.metricsUsage(devices) }
	if p.hosts != nil {
		s.Neighbours = &p.hosts.Stats
	}
	if p.printer != nil {
		s.Print = &p.printer.Stats
	}
	return s
}
