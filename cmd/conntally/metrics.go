package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// serveMetrics serves /metrics on address until ctx is done.
func serveMetrics(ctx context.Context, address string, p *probe) error {
	registry := prometheus.NewPedanticRegistry()
	if err := registerMetrics(registry, p); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error("metrics: " + err.Error())
		}
	}()
	return nil
}

// counter is a row of the metrics: one of the pipeline's counters.
type counter struct {
	name, help string
	value      *atomic.Uint64
}

func registerMetrics(registry *prometheus.Registry, p *probe) error {
	rows := append(readerCounters(p), tableCounters(p)...)
	collectors := []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "conntally_flows", Help: "Connections in the flow table.",
		}, func() float64 { return float64(p.table.Stats.Flows.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "conntally_poll_interval_seconds", Help: "Between two dumps, as in force.",
		}, func() float64 { return time.Duration(p.Stats.Interval.Load()).Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "conntally_receive_buffer_bytes", Help: "The event socket's buffer, as in force.",
		}, func() float64 { return float64(p.buffer) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "conntally_dump_cpu_seconds_total", Help: "CPU spent in dumps, user and system.",
		}, func() float64 { return time.Duration(p.Stats.DumpTime.Load()).Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "conntally_build_info", Help: "The version in the label; always 1.",
			ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
		}, func() float64 { return 1 }),
	}
	for _, row := range rows {
		collectors = append(collectors, counterFunc(row, nil))
	}
	for _, c := range p.exporter.Collectors {
		labels := prometheus.Labels{"collector": c.Target.Address, "protocol": c.Target.Protocol.String()}
		for _, row := range []counter{
			{"export_datagrams_total", "Datagrams sent.", &c.Stats.Messages},
			{"export_records_total", "Data records sent, option data included.", &c.Stats.Records},
			{"export_bytes_total", "UDP payload sent.", &c.Stats.Octets},
			{"export_refused_total", "ICMP port unreachable answers.", &c.Stats.Refused},
			{"export_errors_total", "Datagrams that could not be sent.", &c.Stats.SendErrors},
			{"export_unsent_records_total", "Records lost because they could not be sent.", &c.Stats.Unsent},
			{"export_dial_errors_total", "Failures to resolve the collector's name or open a socket.", &c.Stats.DialErrors},
		} {
			collectors = append(collectors, counterFunc(row, labels))
		}
	}
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

func counterFunc(row counter, labels prometheus.Labels) prometheus.Collector {
	opts := prometheus.CounterOpts{Name: "conntally_" + row.name, Help: row.help, ConstLabels: labels}
	return prometheus.NewCounterFunc(opts, func() float64 { return float64(row.value.Load()) })
}

func readerCounters(p *probe) []counter {
	s := &p.reader.Stats
	return []counter{
		{"conntrack_entries_total", "Living connections read from dumps.", &s.Entries},
		{"conntrack_destroys_total", "Ends of connections read.", &s.Destroys},
		{"conntrack_dumps_total", "Complete dumps.", &s.Dumps},
		{"conntrack_failed_dumps_total", "Dumps that failed.", &p.Stats.FailedDumps},
		{"conntrack_discarded_dumps_total", "Dumps that say nothing of what they didn't show: the kernel resized its table.", &p.Stats.DiscardedDumps},
		{"conntrack_reopened_total", "Event sockets that had to be opened again.", &p.Stats.Reopened},
		{"conntrack_malformed_total", "Messages of the kernel that made no sense.", &s.Malformed},
		{"conntrack_dropped_events_total", "Ends of connections that found the receive buffer full: lost, but with reliable delivery repeated.", &s.Drops},
		{"conntrack_overruns_total", "Times that the kernel said it had dropped events.", &s.Overruns},
	}
}

func tableCounters(p *probe) []counter {
	s := &p.table.Stats
	return []counter{
		{"records_total", "Flow records made.", &s.Records},
		{"flows_baselined_total", "Connections older than the probe, of which only what moves since counts.", &s.Baselined},
		{"flows_restored_total", "Connections that an earlier run has exported in part.", &s.Restored},
		{"flows_ignored_total", "Ends of connections that are left out.", &s.Ignored},
		{"flows_uncounted_total", "Sightings of connections without counters, older than nf_conntrack_acct=1.", &s.Uncounted},
		{"flows_duplicate_total", "Ends that the kernel reported twice.", &s.Duplicates},
		{"flows_stale_total", "Connections in a dump whose end was known already.", &s.Stale},
		{"flows_rewound_total", "Counters that went down.", &s.Rewound},
		{"flows_vanished_total", "Connections that went without an event.", &s.Vanished},
		{"flows_full_total", "Sightings of connections that the table had no room for.", &s.Full},
	}
}
