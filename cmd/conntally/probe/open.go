package probe

import (
	"context"
	"errors"
	"io"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/filter"
	"github.com/conntally/conntally/flow/route"
)

// Options configure a Probe.
type Options struct {
	Config  *config.Config
	Version string // for the metrics
	State   string // directory of the state file; "" means none
	Log     *zap.Logger
	Level   zap.AtomicLevel // of Log; a reload sets it
	Print   io.Writer       // where flows are printed without a collector; nil means nowhere
	Form    print.Options   // of what is printed; Interface isn't used
	// Settled, if not nil, is called once no more is to be loaded into the kernel: the rights
	// for that can be given up.
	Settled func()

	// Load reads the configuration again for each value of Reloads; nil means never.
	Load    func() (*config.Config, error)
	Reloads <-chan struct{}
}

// New prepares the kernel and wires reader, table and sinks. It opens the reader first, so
// that without the privilege for it nothing else is tried.
func New(ctx context.Context, o Options) (*Probe, error) {
	c, log := o.Config, o.Log
	clock := conntrack.SystemClock()
	reader, err := openSource(c, clock)
	if err != nil {
		return nil, err
	}
	_ = kernel.Available() // loads the modules: without them there are no settings
	p := &Probe{
		options: o, config: c, reloads: make(chan reloadRequest, 1), reader: reader, clock: clock,
		log:        log,
		conditions: condition.NewTracker(log), readKernel: condition.ReadKernel,
	}
	p.observeKernel(clock())
	routes, err := route.Open(route.Options{Mark: c.Flow.RouteMark, Clock: clock,
		Renamed: reader.Interrupt})
	if err != nil {
		return nil, errors.Join(err, reader.Close())
	}
	hosts, err := openNeighbours(c, clock)
	if err != nil {
		return nil, errors.Join(err, routes.Close(), reader.Close())
	}
	recordOptions := newRecordOptions(c, routes, hosts)
	collectors := openCollectors(ctx, targets(c.Collectors, recordOptions.RecordOptions), clock,
		log)
	exporter := &export.Exporter{Collectors: collectors, Interfaces: routes}
	began := clock()
	p.routes, p.hosts, p.exporter, p.recordOptions, p.began = routes, hosts, exporter,
		recordOptions, began.Wall
	p.accounts, p.names = account.New(p.accountOptions()), newNames(c, clock)
	p.questions, p.usage.nameOf = newQuestions(clock, reader.Interrupt), routes.Name
	p.sinks = flow.Sinks{exporter}
	p.table = flow.NewTable(p.flowOptions(), kernel.ReadTimeouts(), exporter, began)
	p.checkpointer = openCheckpointer(o.State, wantsBPF(c), p.table, began, p.stateWritten,
		log)
	if p.checkpointer != nil {
		exporter.Commit = p.commit
	}
	p.devicesFile = openDevicesFile(o.State, c.Devices.Max, p.accounts, p.devicesSaved, log)
	p.manager = notify.New(func(err error) {
		log.Warn("can't notify the service manager", zap.Error(err))
	})
	p.collectors.Store(&collectors)
	buffer := reader.ReceiveBuffer()
	p.Stats.Turned.Store(began.Mono)
	p.observeBuffer(began, buffer)
	p.pacer = newPacer(c.Poll(), c.Conntrack.MaxCPU/100, buffer, &p.Stats)
	if o.Print != nil && len(c.Collectors) == 0 {
		if !isService() { // observeCollectors has other words for it
			log.Info("no collector is configured: flows are printed to the standard output")
		}
		p.printTo(o.Print)
	}
	p.observeCollectors()
	return p, nil
}

// flowOptions returns the flow table's options of the configuration in force.
func (p *Probe) flowOptions() flow.Options {
	c, exclude := p.config, p.owns
	if rules := c.Rules(); len(rules) > 0 {
		kept := filter.New(rules, p.routes)
		exclude = func(e *conntrack.Event) bool { return p.owns(e) || !kept.Keeps(e) }
	}
	return flow.Options{
		Active: time.Duration(c.Flow.ActiveTimeout), Idle: time.Duration(c.Flow.IdleTimeout),
		NAT: c.Flow.NAT.View, MaxFlows: maxFlows(c), Routes: p.routes, Meter: p.accounts,
		Exclude: exclude,
		Biflow:  p.recordOptions.Biflow, NATEvents: p.recordOptions.NATEvents, Describe: p.recordOptions.describe,
	}
}

// owns reports whether e is a connection to a collector, made by this run's sockets or by
// those of the previous run. The first dump shows the latter; only entries with a start
// time can be recognized.
func (p *Probe) owns(e *conntrack.Event) bool {
	return p.exporter.Owns(&e.Orig) ||
		0 < e.Start && e.Start < p.began && p.Stats.Dumped.Load() == 0 && p.exporter.OwnedBefore(&e.Orig)
}

// maxFlows returns the flow table's limit: the configured one, or nf_conntrack_max.
func maxFlows(c *config.Config) int {
	if c.Flow.MaxFlows > 0 {
		return c.Flow.MaxFlows
	}
	n, _ := kernel.ReadSysctl("max") // 0, no limit, if it can't be read
	return n
}

// openTimeout bounds the resolution of all collectors' names: events wait meanwhile.
const openTimeout = 5 * time.Second

// openCollectors opens the collectors of targets. One that can't be reached yet keeps trying.
func openCollectors(
	ctx context.Context, list []export.CollectorConfig, clock conntrack.Clock, log *zap.Logger,
) []*export.Collector {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	var all []*export.Collector
	for _, t := range list {
		collector := export.NewCollector(t, clock)
		if err := collector.Open(ctx); err != nil {
			log.Warn("can't reach the collector yet, will keep trying",
				zap.String("collector", t.Address), zap.Error(err))
		} else {
			log.Info("exporting", zap.String("collector", collector.Config.Address),
				zap.Stringer("protocol", collector.Config.Protocol))
		}
		all = append(all, collector)
	}
	return all
}

// Targets returns the configured collectors as export targets.
func Targets(c *config.Config) []export.CollectorConfig {
	return targets(c.Collectors, optional(c))
}

func targets(list []config.Collector, o export.RecordOptions) []export.CollectorConfig {
	var all []export.CollectorConfig
	for _, cc := range list {
		all = append(all, export.CollectorConfig{
			Address: string(cc.Address), Protocol: cc.Protocol.Value(),
			Source: cc.Source.Addr, Interface: string(cc.Interface), VRF: string(cc.VRF),
			MaxDatagram: cc.MaxDatagram, TemplateInterval: time.Duration(cc.TemplateInterval),
			RecordOptions: o,
		})
	}
	return all
}
