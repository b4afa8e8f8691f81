package serve

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally-history/collect"
	"github.com/conntally/conntally/cmd/conntally-history/condition"
	"github.com/conntally/conntally/cmd/conntally-history/services"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	shared "github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/conntrack"
)

const (
	// retryInterval is how soon a write that failed is tried again.
	retryInterval = time.Minute
	// lastWrite bounds the last write.
	lastWrite = 30 * time.Second
	// freshFor is how old what a page shows may be before it asks for a write: each one wears
	// flash.
	freshFor = 30 * time.Second
)

// database is what a flusher writes to. *store.Store implements it.
type database interface {
	Write(ctx context.Context, b *usage.Batch) error
	Prune(ctx context.Context, now time.Time) error
}

// FlusherStats count writes. Any goroutine may read them.
type FlusherStats struct {
	Flushes, Failures atomic.Uint64
	Last              atomic.Int64 // when a batch was written, ns since 1970
	Busy              atomic.Int64 // since when something is being written, monotonic; 0: it isn't
}

// flusher writes what was counted. It is the only one that waits for the database.
type flusher struct {
	Stats FlusherStats

	database   database
	collector  *collect.Collector
	services   *services.Poller // nil: services are not counted
	interval   time.Duration
	calendar   usage.Calendar
	clock      conntrack.Clock
	conditions *shared.Tracker
	log        *zap.Logger

	requests chan chan error
	pruned   usage.Day
}

func (f *flusher) now() time.Time { return time.Unix(0, f.clock().Wall) }

// run writes at intervals and when asked to until ctx is done.
func (f *flusher) run(ctx context.Context) {
	timer := time.NewTimer(f.interval)
	defer timer.Stop()
	f.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case reply := <-f.requests:
			reply <- f.flush(ctx, false)
		case <-timer.C:
			wait := f.interval
			if f.flush(ctx, false) != nil {
				wait = min(wait, retryInterval)
			}
			timer.Reset(wait)
			f.prune(ctx)
		}
	}
}

// Refresh has what was counted written, unless that was done a short time ago.
func (f *flusher) Refresh(ctx context.Context) error {
	if f.now().Sub(time.Unix(0, f.Stats.Last.Load())) < freshFor {
		return nil
	}
	reply := make(chan error, 1)
	select {
	case f.requests <- reply:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-reply:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flush writes what was counted since the last time. What can't be written stays in memory.
func (f *flusher) flush(ctx context.Context, last bool) error {
	f.Stats.Busy.Store(f.clock().Mono)
	defer f.Stats.Busy.Store(0)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrite)
	defer cancel()
	b := f.collector.Take(f.now(), last)
	if f.services != nil {
		f.services.Take(b)
	}
	if err := f.database.Write(ctx, b); err != nil {
		f.collector.Return(b)
		if f.services != nil {
			f.services.PutBack(b)
		}
		f.Stats.Failures.Add(1)
		f.conditions.Raise(f.clock(),
			shared.Condition{ID: condition.WriteFailed, Detail: err.Error()})
		return err
	}
	f.conditions.Clear(condition.WriteFailed, "")
	f.Stats.Flushes.Add(1)
	f.Stats.Last.Store(f.clock().Wall)
	f.log.Debug("written", zap.Int("hours", len(b.Hours)),
		zap.Int("destinations", len(b.Destinations)), zap.Int("devices", len(b.Devices)))
	return nil
}

// prune sums up and deletes what is old, at the start and on each new day.
func (f *flusher) prune(ctx context.Context) {
	now := f.now()
	today := f.calendar.Day(now)
	if today == f.pruned {
		return
	}
	f.pruned = today
	f.Stats.Busy.Store(f.clock().Mono)
	defer f.Stats.Busy.Store(0)
	err := f.database.Prune(ctx, now)
	switch {
	case err == nil:
		f.conditions.Clear(condition.PruneFailed, "")
	case ctx.Err() == nil:
		f.conditions.Raise(f.clock(),
			shared.Condition{ID: condition.PruneFailed, Detail: err.Error()})
	}
}
