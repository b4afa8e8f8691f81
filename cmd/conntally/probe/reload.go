package probe

import (
	"context"
	"errors"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
)

// reloader reads the configuration again on request and does what may take long, such as
// resolving names. The loop then puts the configuration in force.
type reloader struct {
	load    func() (*config.Config, error)
	asked   <-chan struct{}
	inForce *config.Config // what the loop has, or is about to have
	prints  bool           // flows are printed while there is no collector

	log     *zap.Logger
	clock   conntrack.Clock
	reloads chan<- reloadRequest
	wake    func() // the loop
}

// reloadRequest is a configuration to put in force, or why there is none.
type reloadRequest struct {
	config  *config.Config
	added   []*export.Collector // opened for it
	waiting []string            // keys that take effect at the next start
	err     error
}

// reloader returns a reloader for p.
func (p *Probe) reloader() *reloader {
	return &reloader{
		load: p.options.Load, asked: p.options.Reloads,
		inForce: p.config, prints: p.printer != nil,
		log: p.log, clock: p.clock, reloads: p.reloads, wake: p.reader.Interrupt,
	}
}

// run prepares a reload for each request until ctx is done.
func (r *reloader) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.asked:
		}
		request := r.prepare(ctx)
		select {
		case <-ctx.Done():
			return
		case r.reloads <- request:
			r.wake()
		}
	}
}

// prepare reads the configuration and opens the collectors that are new.
func (r *reloader) prepare(ctx context.Context) reloadRequest {
	c, err := r.load()
	switch {
	case err != nil:
		return reloadRequest{err: err}
	case len(c.Collectors) == 0 && !r.prints:
		err := errors.New("no [[collector]] is left: to print flows, restart conntally")
		return reloadRequest{err: err}
	}
	added := slices.DeleteFunc(slices.Clone(c.Collectors), func(cc config.Collector) bool {
		return slices.Contains(r.inForce.Collectors, cc)
	})
	changed, waiting := r.inForce.Changed(c)
	fields := []zap.Field{zap.Strings("changed", changed)}
	if len(waiting) > 0 {
		fields = append(fields, zap.Strings("need_restart", waiting))
	}
	r.log.Info("configuration read again", fields...)
	c.Keep(r.inForce)
	r.inForce = c
	list := targets(added, optional(c))
	return reloadRequest{
		config: c, added: openCollectors(ctx, list, r.clock, r.log), waiting: waiting,
	}
}

// takeReload puts another configuration in force if the reloader has prepared one.
func (p *Probe) takeReload() {
	select {
	case next := <-p.reloads:
		p.manager.Notify(notify.Reloading())
		p.Stats.Reloads.Add(1)
		p.Stats.Refused.Store(0)
		if next.err != nil {
			p.Stats.Refused.Store(1)
			p.log.Error("the new configuration was rejected, the old one stays in force",
				zap.Strings("problems", strings.Split(next.err.Error(), "\n")))
			p.conditions.Raise(p.clock(), condition.Condition{ID: condition.ConfigRefused})
		} else {
			p.conditions.Clear(condition.ConfigRefused, "")
			p.setCondition(p.clock(), len(next.waiting) > 0, condition.Condition{
				ID: condition.RestartNeeded, Detail: strings.Join(next.waiting, ", "),
			})
			p.reconfigure(&next)
		}
		if p.ready {
			p.manager.Notify(notify.Ready)
		}
	default:
	}
}

// reconfigure puts another configuration in force between two dumps. The counts are kept:
// what was counted under the old configuration is exported under the new one.
func (p *Probe) reconfigure(next *reloadRequest) {
	c, now := next.config, p.clock()
	p.commit(now) // to the old sinks
	p.config = c
	p.chooseSinks()
	was := p.exporter.Collectors
	list := arrange(targets(c.Collectors, p.recordOptions.RecordOptions),
		slices.Concat(was, next.added))
	p.exporter.Replace(list, now)
	for _, added := range next.added {
		if !slices.Contains(list, added) { // another has the same target
			added.Close(now)
		}
	}
	p.collectors.Store(&list)
	for _, old := range was {
		if !slices.Contains(list, old) {
			p.dropped += old.Stats.Dropped.Load()
			p.log.Info("no longer exporting", zap.String("collector", old.Config.Address),
				zap.Stringer("protocol", old.Config.Protocol))
		}
	}
	p.observeCollectors()
	p.accounts.Reconfigure(p.accountOptions())
	p.table.Reconfigure(p.flowOptions())
	p.pacer.reconfigure(c.Poll(), c.Conntrack.MaxCPU/100)
	p.options.Level.SetLevel(c.Log.Level.Level)
}

// arrange returns the collectors of all that have the targets of list, in its order.
func arrange(list []export.CollectorConfig, all []*export.Collector) []*export.Collector {
	var out []*export.Collector
	for _, wanted := range list {
		at := slices.IndexFunc(all, func(c *export.Collector) bool { return c.Config == wanted })
		if at >= 0 {
			out = append(out, all[at])
		}
	}
	return out
}
