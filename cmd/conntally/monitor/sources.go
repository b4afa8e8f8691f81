// Package monitor tells Prometheus what the pipeline counts, and a service monitor
// whether it works. In: counters of the pipeline. Out: /metrics and /healthz.
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

// Sources is what the metrics are read from. The pipeline goes on writing it.
type Sources struct {
	Version    string
	Conntrack  *ctnetlink.Stats
	Flow       *flow.Stats
	Routes     *route.Stats
	Neighbours *host.NeighbourStats // nil: they are not read
	Print      *print.Stats         // nil: nothing is printed
	Probe      *Probe
	Conditions func() []condition.Condition // that hold
	Collectors func() []*export.Collector   // those of now

	Server *httpserver.Server
	Clock  conntrack.Clock
	Began  int64                          // when the program did, monotonic
	Sysctl func(name string) (int, error) // of conntrack, as kernel.ReadSysctl
	// Statistics are the kernel's, as kernel.ReadStatistics.
	Statistics func() (kernel.Statistics, error)
}
