package main

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
)

// reloader reads the configuration again when it is told to, and prepares what can
// take long. The probe's own goroutine then changes over.
type reloader struct {
	args    []string
	started *config.Config // what the program began with
	inForce *config.Config // what the probe has, or is about to have
	prints  bool           // where there is no collector

	log   *zap.Logger
	clock conntrack.Clock
	plans chan<- plan
	wake  func() // the probe
	end   func() // the program
}

// plan is what the probe is to change over to, or what was wrong with it.
type plan struct {
	config *config.Config
	added  []*export.Collector
	err    error
}

// reloader returns what reloads p, which has c in force.
func (p *probe) reloader(args []string, c *config.Config, end func()) *reloader {
	return &reloader{
		args: args, started: c, inForce: c, prints: p.printer != nil, log: p.log, clock: p.clock,
		plans: p.plans, wake: p.reader.Interrupt, end: end,
	}
}

// run reloads at each hangup until ctx is done. One that means what its name says, the
// end of the terminal, ends an interactive program.
func (r *reloader) run(ctx context.Context, hangups <-chan os.Signal, interactive bool) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
		}
		if interactive && !hasTerminal() {
			r.end()
			return
		}
		p := r.plan(ctx)
		select {
		case <-ctx.Done():
			return
		case r.plans <- p:
			r.wake()
		}
	}
}

// hasTerminal tells whether the process has a controlling terminal, tty(4).
func hasTerminal() bool {
	f, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// plan reads the file and opens the collectors that are new.
func (r *reloader) plan(ctx context.Context) plan {
	c, _, err := loadConfig(r.args, io.Discard)
	switch {
	case err != nil:
		return plan{err: err}
	case len(c.Collectors) == 0 && !r.prints:
		return plan{err: errors.New("there is no [[collector]] any more: to print flows, start anew")}
	}
	fresh := slices.DeleteFunc(slices.Clone(c.Collectors), func(cc config.Collector) bool {
		return slices.Contains(r.inForce.Collectors, cc)
	})
	changed, _ := r.inForce.Changed(c)
	r.log.Info("configuration read again", zap.Strings("changed", changed))
	if _, waiting := r.started.Changed(c); len(waiting) > 0 {
		r.log.Warn("some keys wait for a restart", zap.Strings("keys", waiting))
	}
	r.inForce = c
	return plan{config: c, added: openCollectors(ctx, targets(fresh, optional(r.started)), r.clock, r.log)}
}

// takePlan changes over to another configuration, if there is one.
func (p *probe) takePlan() {
	select {
	case next := <-p.plans:
		p.manager.Tell(notify.Reloading())
		p.Stats.Reloads.Add(1)
		p.Stats.Refused.Store(0)
		if next.err != nil {
			p.Stats.Refused.Store(1)
			p.log.Error("the configuration is refused, the one in force stays",
				zap.Strings("problems", strings.Split(next.err.Error(), "\n")))
			p.conditions.Raise(p.clock(), condition.Condition{ID: condition.ConfigRefused})
		} else {
			p.conditions.Clear(condition.ConfigRefused, "")
			p.reconfigure(&next)
		}
		if p.ready {
			p.manager.Tell(notify.Ready)
		}
	default:
	}
}

// reconfigure changes over between two dumps. No counter is touched: what was counted
// under the old configuration is exported under the new one.
func (p *probe) reconfigure(next *plan) {
	c, now := next.config, p.clock()
	p.commit(now) // to the sinks that there are
	p.config = c
	p.chooseSinks()
	was := p.exporter.Collectors
	list := arrange(targets(c.Collectors, p.content.Optional), slices.Concat(was, next.added))
	p.exporter.Replace(list, now)
	p.collectors.Store(&list)
	for _, old := range was {
		if !slices.Contains(list, old) {
			p.goneUnsent += old.Stats.Unsent.Load()
			p.log.Info("no longer exporting", zap.String("collector", old.Target.Address), zap.Stringer("protocol", old.Target.Protocol))
		}
	}
	p.table.Reconfigure(p.flowOptions())
	p.pacer.reconfigure(c.Poll(), c.Conntrack.MaxCPU/100)
	p.level.SetLevel(c.Log.Level.Level)
}

// arrange returns the collectors of a configuration out of those that there are.
func arrange(list []export.Target, all []*export.Collector) []*export.Collector {
	var out []*export.Collector
	for _, wanted := range list {
		if at := slices.IndexFunc(all, func(c *export.Collector) bool { return c.Target == wanted }); at >= 0 {
			out = append(out, all[at])
		}
	}
	return out
}
