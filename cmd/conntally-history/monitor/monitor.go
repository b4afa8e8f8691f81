// Package monitor serves metrics and health of conntally-history.
package monitor

import (
	"math"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/conntally/conntally/cmd/conntally-history/collect"
	"github.com/conntally/conntally/cmd/conntally-history/condition"
	shared "github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/cmd/internal/httpserver"
	"github.com/conntally/conntally/cmd/internal/telemetry"
)

// Snapshot is what metrics show: totals since the start, and present sizes.
type Snapshot struct {
	collect.Stats
	Datagrams, Dropped, Refused uint64
	ReceiveBuffer               int64 // bytes
	Flushes, FlushFailures      uint64
	LastFlush                   time.Time // zero: none
	DatabaseSize                int64     // bytes; negative: not known
}

// Sources is where metrics come from. All functions may be called by any goroutine.
type Sources struct {
	Version    string
	Snapshot   func() Snapshot
	Conditions func() []shared.Condition
	Server     *httpserver.Server
}

// Metrics returns a handler of /metrics.
func (s *Sources) Metrics() http.Handler {
	return telemetry.Handler(s.Server, s.gatherer())
}

func (s *Sources) gatherer() prometheus.Gatherer {
	return telemetry.Gatherer(s.Server, nil, newCollector(s))
}

// Health returns a handler of /healthz: 503 and why, while usage is lost or may be.
func (s *Sources) Health() http.Handler {
	return telemetry.Health(func() error { return shared.Err(s.Conditions()) })
}

// row is a metric. A value of NaN is unknown: the metric is left out.
type row struct {
	name, help string
	value      func(*Snapshot) float64
}

func rows() []row {
	return []row{
		{"conntally_history_datagrams_total", "Datagrams received.",
			func(s *Snapshot) float64 { return float64(s.Datagrams) }},
		{"conntally_history_dropped_datagrams_total",
			"Datagrams that the kernel dropped because the receive buffer was full.",
			func(s *Snapshot) float64 { return float64(s.Dropped) }},
		{"conntally_history_refused_datagrams_total",
			"Datagrams from addresses that are not in [collector] exporters.",
			func(s *Snapshot) float64 { return float64(s.Refused) }},
		{"conntally_history_receive_buffer_bytes", "Size of the receive buffer.",
			func(s *Snapshot) float64 { return float64(s.ReceiveBuffer) }},
		{"conntally_history_devices", "Devices in memory.",
			func(s *Snapshot) float64 { return float64(s.Devices) }},
		{"conntally_history_overflow_records_total",
			`Records that counted for "other", as there was no room for their device.`,
			func(s *Snapshot) float64 { return float64(s.Overflow) }},
		{"conntally_history_folded_records_total",
			"Records whose destination found no room and counted for the device's rest.",
			func(s *Snapshot) float64 { return float64(s.Folded) }},
		{"conntally_history_pending_rows", "Rows in memory that are not written yet.",
			func(s *Snapshot) float64 { return float64(s.Rows) }},
		{"conntally_history_flushes_total", "Writes to the database.",
			func(s *Snapshot) float64 { return float64(s.Flushes) }},
		{"conntally_history_flush_failures_total",
			"Writes that failed; what they had is written later.",
			func(s *Snapshot) float64 { return float64(s.FlushFailures) }},
		{"conntally_history_last_flush_timestamp_seconds", "When the database was last written.",
			func(s *Snapshot) float64 { return timestamp(s.LastFlush) }},
		{"conntally_history_database_size_bytes", "Size of the database's files.",
			func(s *Snapshot) float64 {
				if s.DatabaseSize < 0 {
					return math.NaN()
				}
				return float64(s.DatabaseSize)
			}},
	}
}

// timestamp returns a time in seconds since 1970, or NaN if it is zero: never.
func timestamp(t time.Time) float64 {
	if t.IsZero() {
		return math.NaN()
	}
	return float64(t.UnixMilli()) / 1000
}

// exporterRow is a metric of each exporter.
type exporterRow struct {
	name, help string
	value      func(*collect.ExporterStats) float64
}

func exporterRows() []exporterRow {
	return []exporterRow{
		{"conntally_history_exporter_datagrams_total", "Datagrams from this exporter.",
			func(x *collect.ExporterStats) float64 { return float64(x.Datagrams) }},
		{"conntally_history_exporter_records_total", "Data records from this exporter.",
			func(x *collect.ExporterStats) float64 { return float64(x.Records) }},
		{"conntally_history_exporter_bytes_total", "Bytes that its flow records counted.",
			func(x *collect.ExporterStats) float64 { return float64(x.Bytes) }},
		{"conntally_history_exporter_missing_records_total",
			"Data records that are missing, by the sequence of IPFIX.",
			func(x *collect.ExporterStats) float64 { return float64(x.MissingRecords) }},
		{"conntally_history_exporter_missing_datagrams_total",
			"Datagrams that are missing, by the sequence of NetFlow v9.",
			func(x *collect.ExporterStats) float64 { return float64(x.MissingDatagrams) }},
		{"conntally_history_exporter_unknown_sets_total",
			"Data sets that were skipped, as their template had not come.",
			func(x *collect.ExporterStats) float64 { return float64(x.UnknownSets) }},
		{"conntally_history_exporter_malformed_datagrams_total",
			"Datagrams that could not be read.",
			func(x *collect.ExporterStats) float64 { return float64(x.Refused) }},
		{"conntally_history_exporter_last_seen_timestamp_seconds",
			"When something last came from this exporter.",
			func(x *collect.ExporterStats) float64 { return timestamp(x.Last) }},
	}
}

// collector is a prometheus.Collector of all metrics.
type collector struct {
	s         *Sources
	build     *prometheus.Desc
	condition *prometheus.Desc
	all       []*prometheus.Desc
	exporters []*prometheus.Desc
}

func newCollector(s *Sources) *collector {
	c := &collector{
		s: s,
		build: prometheus.NewDesc("conntally_history_build_info",
			"The version, as labels `version` and `goversion`; always 1.",
			[]string{"version", "goversion"}, nil),
		condition: prometheus.NewDesc("conntally_history_condition",
			"1 while the condition in the label `condition` holds, else 0.",
			[]string{"condition"}, nil),
	}
	for _, r := range rows() {
		c.all = append(c.all, prometheus.NewDesc(r.name, r.help, nil, nil))
	}
	for _, r := range exporterRows() {
		c.exporters = append(c.exporters, prometheus.NewDesc(r.name, r.help,
			[]string{"exporter", "protocol", "domain"}, nil))
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range slices.Concat([]*prometheus.Desc{c.build, c.condition}, c.all, c.exporters) {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		if !math.IsNaN(v) {
			ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
		}
	}
	send(c.build, prometheus.GaugeValue, 1, c.s.Version, runtime.Version())
	holding := c.s.Conditions()
	for _, d := range condition.Definitions() {
		v := 0.0
		if slices.ContainsFunc(holding, func(one shared.Condition) bool { return one.ID == d.ID }) {
			v = 1
		}
		send(c.condition, prometheus.GaugeValue, v, string(d.ID))
	}
	snapshot := c.s.Snapshot()
	for i, r := range rows() {
		send(c.all[i], telemetry.Kind(r.name), r.value(&snapshot))
	}
	for k := range snapshot.Exporters {
		x := &snapshot.Exporters[k]
		for i, r := range exporterRows() {
			send(c.exporters[i], telemetry.Kind(r.name), r.value(x), x.Address.String(), protocol(x.Version),
				strconv.FormatUint(uint64(x.Domain), 10))
		}
	}
}

// protocol returns the name of a version.
func protocol(version uint16) string {
	switch version {
	case 9:
		return "netflow9"
	case 10:
		return "ipfix"
	}
	return "unknown"
}
