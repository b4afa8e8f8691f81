// Package monitor serves the pipeline's metrics to Prometheus and its health to service
// monitors.
//
//	counters of the pipeline (Sources) -> /metrics, /healthz
package monitor

import (
	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/cmd/internal/httpserver"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

// Sources are the counters that the metrics are read from, while the pipeline counts on.
type Sources struct {
	Version    string
	Conntrack  *ctnetlink.Stats
	Flow       *flow.Stats
	Routes     *route.Stats
	Neighbours *host.NeighbourStats // nil: neighbours are not read
	Print      *print.Stats         // nil: nothing is printed
	Probe      *Probe
	Conditions func() []condition.Condition      // those that hold
	Collectors func() []*export.Collector        // those in force
	Source     func() (name, step, dumps string) // of ends, its step if it is eBPF; of living ones
	Usage      func() *Usage                     // nil: what is counted by device is not shown
	Labels     map[string]string                 // of all metrics

	Server *httpserver.Server
	Clock  conntrack.Clock
	Began  int64                          // when the program started, monotonic
	Sysctl func(name string) (int, error) // kernel.ReadSysctl or a fake
	// Statistics is kernel.ReadStatistics or a fake.
	Statistics func() (kernel.Statistics, error)
}
