// Package serve is the service: it receives records, counts them and writes what they count.
//
//	UDP -> receiver -> collect.Collector -> flusher -> store.Store -> web
//	systemd -> services.Poller ----------------^
//
// The receiver waits for nothing else, so that a slow disk loses no datagram.
package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/conntally/conntally/cmd/conntally-history/collect"
	"github.com/conntally/conntally/cmd/conntally-history/condition"
	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/monitor"
	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/services"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/conntally-history/web"
	shared "github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/cmd/internal/httpserver"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/cmd/internal/setting"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow/host"
)

// Options of a Service.
type Options struct {
	Config   *config.Config
	Database string // path of the file
	Version  string
	Log      *zap.Logger
	Clock    conntrack.Clock
	Calendar usage.Calendar
	Quotas   []report.Quota
}

// Service is conntally-history serve. Make one with New, Run it once, and Close it.
type Service struct {
	o          Options
	conditions *shared.Tracker
	store      *store.Store
	machine    *machine
	names      *host.Names
	collector  *collect.Collector
	services   *services.Poller // nil: services are not counted
	receiver   *receiver
	flusher    *flusher
	manager    *notify.Manager
	server     *httpserver.Server
	web        *web.Server // nil: there is no page
	// earlier has the exporters that sent in the last day before the start, and the hour of it.
	earlier map[usage.Exporter]time.Time

	observeEvery time.Duration
}

// ErrConfig marks errors of the configuration, which stay.
var ErrConfig = errors.New("configuration")

// DestinationFlushes is how many flushes make one of destinations, too.
const DestinationFlushes = 12

// New opens the database and the socket.
func New(ctx context.Context, o Options) (*Service, error) {
	s := &Service{
		o: o, conditions: condition.NewTracker(o.Log), server: httpserver.New(o.Log),
		names:        host.NewNames(host.NamesOptions{Leases: o.Config.Devices.Leases, Clock: o.Clock}),
		observeEvery: observeInterval,
	}
	s.manager = notify.New(func(err error) {
		o.Log.Warn("can't notify the service manager", zap.Error(err))
	})
	if err := s.openStore(ctx); err != nil {
		return nil, err
	}
	state, err := s.store.State(ctx)
	if err == nil {
		s.earlier, err = s.store.Senders(ctx, s.now().Add(-goneAfter))
	}
	if err != nil {
		return nil, errors.Join(err, s.store.Close(s.now()))
	}
	s.machine, err = openMachine(o.Clock)
	if err != nil {
		s.raise(condition.NetworkUnreadable, err.Error())
	}
	s.collector = collect.New(s.collectOptions(), state.Sequences, state.Devices)
	if o.Config.Services.Enable {
		s.services = services.New(services.Bus{}, services.Journal{}, o.Calendar, state.Services,
			state.JournalCursor)
	}
	s.flusher = &flusher{
		database: s.store, collector: s.collector, services: s.services,
		interval: time.Duration(o.Config.Database.FlushInterval), calendar: o.Calendar,
		clock: o.Clock, conditions: s.conditions, log: o.Log, requests: make(chan chan error),
	}
	s.flusher.Stats.Last.Store(o.Clock().Wall)
	if err := s.newWeb(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.receiver = &receiver{
		decoder:   decode.New(decode.Options{MaxExporters: maxSources, MaxHeld: maxHeld}),
		collector: s.collector, allowed: setting.Prefixes(o.Config.Collector.Exporters),
		clock: o.Clock, alive: s.alive,
	}
	c := &o.Config.Collector
	if err := s.receiver.listen(ctx, string(c.Address), int(c.ReceiveBuffer)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Service) now() time.Time { return time.Unix(0, s.o.Clock().Wall) }

func (s *Service) raise(id shared.ID, detail string) {
	s.conditions.Raise(s.o.Clock(), shared.Condition{ID: id, Detail: detail})
}

func (s *Service) openStore(ctx context.Context) error {
	defer s.manager.Starting()() // a large database on a slow disk is checked for minutes
	d := &s.o.Config.Database
	opened, aside, err := store.Open(ctx, s.o.Database, s.now(), store.Options{
		Calendar: s.o.Calendar, Hours: time.Duration(d.Hours), Days: time.Duration(d.Days),
		Destinations: time.Duration(d.Destinations), DestinationsPerDevice: d.PerDevice,
		MaxSize: int64(d.MaxSize),
	})
	if err != nil {
		return err
	}
	if aside != nil {
		s.raise(condition.DatabaseSetAside, fmt.Sprintf("to %s: %v", aside.Path, aside.Why))
	}
	s.store = opened
	return nil
}

func (s *Service) collectOptions() collect.Options {
	c := s.o.Config
	var aliases []collect.Alias
	for i := range c.Named {
		a := collect.Alias{Name: c.Named[i].Name}
		for _, mac := range c.Named[i].MAC {
			a.MACs = append(a.MACs, host.MAC(mac))
		}
		for _, ip := range c.Named[i].Address {
			a.Addrs = append(a.Addrs, ip.Addr)
		}
		aliases = append(aliases, a)
	}
	return collect.Options{
		Calendar: s.o.Calendar, Max: c.Devices.Max, Aliases: aliases,
		Inside: setting.Prefixes(c.Devices.Networks), Exclude: setting.Prefixes(c.Devices.Exclude),
		DestinationInterval: DestinationFlushes * time.Duration(c.Database.FlushInterval),
		Machine:             s.machine, Names: s.names,
	}
}

// Run receives and writes until ctx is done. Then it writes what is left.
func (s *Service) Run(ctx context.Context) error {
	s.names.Read()
	tasks, ctx := errgroup.WithContext(ctx)
	received, stopped := context.WithCancel(context.WithoutCancel(ctx))
	defer stopped()
	if err := s.serveWeb(ctx, tasks); err != nil {
		return err
	}
	s.manager.Notify(notify.Ready, notify.Status("Receiving records"))
	tasks.Go(func() error { s.names.Follow(ctx); return nil })
	if s.machine.neighbours != nil {
		tasks.Go(func() error { s.machine.neighbours.Follow(ctx); return nil })
	}
	o := s.observer()
	tasks.Go(func() error { o.run(ctx, s.observeEvery); return nil })
	var polled sync.WaitGroup
	if s.services != nil {
		polled.Go(func() { s.pollServices(ctx) })
	}
	tasks.Go(func() error { s.flusher.run(ctx); return nil })
	tasks.Go(func() error {
		defer stopped()
		return s.receiver.run(ctx)
	})
	s.o.Log.Info("receiving records", zap.Stringer("address", s.receiver.conn.LocalAddr()),
		zap.String("database", s.o.Database))
	<-received.Done()
	s.manager.Notify(notify.Stopping)
	polled.Wait()
	err := errors.Join(tasks.Wait(), s.last())
	o.observe(s.o.Clock()) // what the end has given up is said, too
	return err
}

// last writes what is left at the end.
func (s *Service) last() error {
	if err := s.flusher.flush(context.Background(), true); err != nil {
		return fmt.Errorf("what was counted since the last write is lost: %w", err)
	}
	return nil
}

// hung is after how long of one write the program counts as hanging: the service manager then
// restarts it.
const hung = 10 * time.Minute

// alive sends a heartbeat to the service manager. The receiver calls it, so that none is sent
// while that hangs.
func (s *Service) alive(mono int64) {
	if busy := s.flusher.Stats.Busy.Load(); busy != 0 && mono-busy > int64(hung) {
		return
	}
	s.manager.Alive(mono)
}

// pollServices reads what services move until ctx is done, and once more then.
func (s *Service) pollServices(ctx context.Context) {
	ticker := time.NewTicker(time.Duration(s.o.Config.Services.Interval))
	defer ticker.Stop()
	for ended := false; ; {
		poll, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollTimeout)
		err := s.services.Poll(poll, s.now())
		cancel()
		if err != nil {
			s.raise(condition.ServicesUnreadable, err.Error())
		} else {
			s.conditions.Clear(condition.ServicesUnreadable, "")
		}
		if ended {
			return
		}
		select {
		case <-ctx.Done():
			ended = true
		case <-ticker.C:
		}
	}
}

// pollTimeout bounds a reading of services.
const pollTimeout = 10 * time.Second

func (s *Service) observer() *observer {
	now := s.o.Clock()
	return &observer{
		receiver: s.receiver, collector: s.collector, names: s.names, conditions: s.conditions,
		clock: s.o.Clock, log: s.o.Log, buffer: int64(s.o.Config.Collector.ReceiveBuffer),
		began: now.Mono, before: map[usage.Exporter]collect.ExporterStats{},
		earlier: s.recentSenders(),
	}
}

// recentSenders returns those of earlier runs that may still send. It returns a new map.
func (s *Service) recentSenders() map[usage.Exporter]time.Time {
	all := maps.Clone(s.earlier)
	maps.DeleteFunc(all, func(e usage.Exporter, _ time.Time) bool {
		return e.Address == netip.IPv4Unspecified() || !s.receiver.allows(e.Address)
	})
	return all
}

// newWeb prepares the page and metrics, if they are enabled.
func (s *Service) newWeb() error {
	c := s.o.Config
	if !c.Web.Enable || c.Web.Listen == "" {
		return nil
	}
	sources := s.sources()
	server, err := web.NewServer(&c.Web, web.Options{
		History: s.store.Reader(), Calendar: s.o.Calendar, Now: s.now, Refresh: s.flusher.Refresh,
		Rates: s.rates, Conditions: s.conditions.Snapshot, BillingDay: c.Report.BillingDay,
		Quotas: s.o.Quotas, Services: c.Services.Enable,
		Metrics: sources.Metrics(), Health: sources.Health(), Log: s.o.Log,
	})
	var missing *fs.PathError // as long as a disk or a certificate is to come
	switch {
	case errors.As(err, &missing):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s.web = server
	return nil
}

func (s *Service) rates() map[string]web.Rate {
	all := map[string]web.Rate{}
	for id, r := range s.collector.Rates(s.now()) {
		all[id] = web.Rate(r)
	}
	return all
}

// serveWeb begins to serve the page, which can be reached when it returns.
func (s *Service) serveWeb(ctx context.Context, tasks *errgroup.Group) error {
	if s.web == nil {
		return nil
	}
	serve, err := s.web.Listen(ctx, s.server, s.o.Log)
	if err == nil {
		tasks.Go(serve)
	}
	return err
}

func (s *Service) sources() *monitor.Sources {
	return &monitor.Sources{
		Version: s.o.Version, Server: s.server, Conditions: s.conditions.Snapshot,
		Snapshot: s.snapshot,
	}
}

func (s *Service) snapshot() monitor.Snapshot {
	r, f := &s.receiver.Stats, &s.flusher.Stats
	m := monitor.Snapshot{
		Stats:     s.collector.Stats(),
		Datagrams: r.Datagrams.Load(), Dropped: r.Dropped.Load(), Refused: r.Refused.Load(),
		ReceiveBuffer: r.Buffer.Load(),
		Flushes:       f.Flushes.Load(), FlushFailures: f.Failures.Load(), DatabaseSize: -1,
	}
	if m.Flushes > 0 {
		m.LastFlush = time.Unix(0, f.Last.Load())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if extent, err := s.store.Reader().Extent(ctx); err == nil {
		m.DatabaseSize = extent.Size
	}
	return m
}

// Close closes the database and the sockets.
func (s *Service) Close() error {
	var errs []error
	if s.receiver != nil && s.receiver.conn != nil {
		errs = append(errs, s.receiver.conn.Close())
	}
	return errors.Join(append(errs, s.machine.Close(), s.store.Close(s.now()))...)
}
