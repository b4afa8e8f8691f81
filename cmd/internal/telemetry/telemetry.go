// Package telemetry serves a program's metrics and health.
//
//	collectors of the program, of the process -> Gatherer -> Handler -> /metrics
//	conditions, and what else fails           -> Health             -> /healthz
package telemetry

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/conntally/conntally/cmd/internal/httpserver"
)

// Gatherer returns a gatherer of all collectors' metrics and the usual ones of a process, each
// with these labels. It leaves out process_network_*: they count the traffic of the whole network
// namespace, not the program's. A collector that panics doesn't end the server's program.
func Gatherer(
	server *httpserver.Server, labels prometheus.Labels, all ...prometheus.Collector,
) prometheus.Gatherer {
	r := prometheus.NewRegistry()
	labeled := prometheus.WrapRegistererWith(labels, r)
	for _, c := range all {
		labeled.MustRegister(guarded{c, server})
	}
	labeled.MustRegister(
		guarded{collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), server})
	return prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		families, err := r.Gather()
		return slices.DeleteFunc(families, func(f *dto.MetricFamily) bool {
			return strings.HasPrefix(f.GetName(), "process_network_")
		}), err
	})
}

// guarded recovers from a panic of its Collector, which a registry runs in a goroutine of
// its own.
type guarded struct {
	prometheus.Collector
	server *httpserver.Server
}

// Collect implements prometheus.Collector.
func (g guarded) Collect(ch chan<- prometheus.Metric) {
	defer g.server.Recover()
	g.Collector.Collect(ch)
}

// Handler returns a handler of the present values of all metrics. Responses are not compressed: a
// compressor takes a megabyte of memory, a response has a few kilobytes. A metric that fails
// doesn't hide the others.
func Handler(server *httpserver.Server, all prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(all, promhttp.HandlerOpts{
		ErrorLog: server.ErrorLog(), ErrorHandling: promhttp.ContinueOnError,
		DisableCompression: true,
	})
}

// Health returns a handler that answers 200, or 503 and why while check fails.
func Health(check func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := check(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok\n")
	})
}

// Kind returns the kind of a metric by its name: one that ends in _total is a counter, any other
// a gauge.
func Kind(name string) prometheus.ValueType {
	if strings.HasSuffix(name, "_total") {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}
