package monitor

import (
	"math"
	"runtime"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/internal/telemetry"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// gatherer returns a gatherer of all metrics.
func (s *Sources) gatherer() prometheus.Gatherer {
	all := []prometheus.Collector{
		s.buildInfo(), s.sourceInfo(), s.statisticsCollector(), s.conditionCollector(),
		s.exportCollector(),
	}
	for _, rows := range [][]row{
		s.kernelRows(), s.conntrackRows(), s.flowRows(), s.routeRows(), s.neighbourRows(),
		s.printRows(), s.probeRows(), goRows(),
	} {
		all = append(all, newCollector(rows, func(show func([]row, ...string)) { show(rows) }))
	}
	if s.Usage != nil {
		all = append(all, newUsageCollector(s.Usage))
	}
	return telemetry.Gatherer(s.Server, s.Labels, all...)
}

// collector collects rows, once for each set of label values.
type collector struct {
	descs []*prometheus.Desc
	each  func(show func(rows []row, labelValues ...string))
}

// newCollector returns a collector of metrics with the names of like. each calls show with
// the current rows and their label values.
func newCollector(like []row, each func(show func([]row, ...string)), labels ...string) *collector {
	c := &collector{each: each}
	for _, r := range like {
		c.descs = append(c.descs, prometheus.NewDesc(r.name, r.help, labels, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.each(func(rows []row, labelValues ...string) { c.send(ch, rows, labelValues...) })
}

// send sends the current values of rows.
func (c *collector) send(ch chan<- prometheus.Metric, rows []row, labelValues ...string) {
	for i := range rows {
		if v := rows[i].value(); !math.IsNaN(v) {
			ch <- prometheus.MustNewConstMetric(c.descs[i], telemetry.Kind(rows[i].name), v, labelValues...)
		}
	}
}

func (s *Sources) buildInfo() prometheus.Collector {
	rows := buildRows()
	each := func(show func([]row, ...string)) { show(rows, s.Version, runtime.Version()) }
	return newCollector(rows, each, "version", "goversion")
}

func (s *Sources) sourceInfo() prometheus.Collector {
	rows := sourceRows()
	each := func(show func([]row, ...string)) {
		name, step, dumps := s.Source()
		show(rows, name, step, dumps)
	}
	return newCollector(rows, each, "source", "step", "dumps")
}

// statisticsCollector collects the kernel's own statistics, if they can be read.
func (s *Sources) statisticsCollector() prometheus.Collector {
	each := func(show func([]row, ...string)) {
		if k, err := s.Statistics(); err == nil {
			show(statisticsRows(&k))
		}
	}
	return newCollector(statisticsRows(new(kernel.Statistics)), each)
}

// conditionCollector collects of each condition whether it holds.
func (s *Sources) conditionCollector() prometheus.Collector {
	each := func(show func([]row, ...string)) {
		holding := s.Conditions()
		for _, d := range condition.Definitions() {
			holds := slices.ContainsFunc(holding,
				func(c condition.Condition) bool { return c.ID == d.ID })
			show(conditionRows(holds), string(d.ID))
		}
	}
	return newCollector(conditionRows(false), each, "condition")
}

// exportCollector collects the metrics of each collector of flows.
func (s *Sources) exportCollector() prometheus.Collector {
	each := func(show func([]row, ...string)) {
		for _, c := range s.Collectors() {
			show(collectorRows(&c.Stats), strings.ToValidUTF8(c.Config.Address, "?"),
				c.Config.Protocol.String())
		}
	}
	return newCollector(collectorRows(new(export.CollectorStats)), each, "collector", "protocol")
}
