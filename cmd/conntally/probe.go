package main

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// probe drives the pipeline: one goroutine reads, counts and exports.
type probe struct {
	reader   *conntrack.Reader
	table    *flow.Table
	exporter *export.Exporter
	clock    conntrack.Clock
	poll     time.Duration
	log      *zap.Logger
}

// run works until ctx is done, then exports what is pending.
func (p *probe) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.reader.Interrupt)
	defer stop()

	apply := p.table.Apply // bound once
	p.dump(apply)
	next := p.clock().Mono + int64(p.poll)
	p.exporter.Tick(ctx, p.clock())
	p.log.Info("reading conntrack", zap.Stringer("poll_interval", p.poll),
		zap.Int64("connections", p.table.Stats.Flows.Load()))
	for ctx.Err() == nil {
		if now := p.clock().Mono; now >= next {
			p.dump(apply)
			next = max(next+int64(p.poll), p.clock().Mono)
		}
		p.exporter.Tick(ctx, p.clock())
		wait := p.exporter.Due(next) - p.clock().Mono
		if err := p.reader.Wait(max(time.Duration(wait), time.Millisecond), apply); err != nil {
			return err
		}
	}
	return p.stop(apply)
}

// dump reads the counters of all living entries. A dump that fails is tried again
// at the next poll; nothing is lost by it, since the kernel keeps counting.
func (p *probe) dump(apply func(*conntrack.Event)) {
	p.table.SetTimeouts(conntrack.ReadTimeouts())
	if err := p.reader.Dump(apply); err != nil {
		p.log.Warn("reading the counters failed, will try again", zap.Error(err))
		return
	}
	now := p.clock()
	p.table.EndDump(now)
	p.exporter.Flush(now) // a dump's records have no more company to wait for
}

// stop exports what moved up to now.
func (p *probe) stop(apply func(*conntrack.Event)) error {
	err := p.reader.Dump(apply)
	now := p.clock()
	p.table.Flush(now)
	p.exporter.Close(now)
	p.log.Info("stopped", zap.Uint64("records", p.table.Stats.Records.Load()))
	if err != nil {
		return fmt.Errorf("the last reading failed, its bytes are missing: %w", err)
	}
	return nil
}
