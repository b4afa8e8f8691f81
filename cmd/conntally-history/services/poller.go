package services

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Manager is systemd.
type Manager interface {
	// Units returns a Reading of each unit that is active and has IP accounting, and of those
	// that have stopped, are known and still have counters. It may return what it has read
	// with an error.
	Units(ctx context.Context, known func(unit string) bool) ([]Reading, error)
}

// Log is where systemd says what a unit has moved when it ends.
type Log interface {
	// Read calls fn with each end after cursor, in order. The End is valid until fn returns.
	// With an error it has called fn with those that it could read.
	Read(ctx context.Context, cursor string, fn func(*End)) error
	// Last returns the cursor of the last entry, of an end or not; "": there is none.
	Last(ctx context.Context) (cursor string, err error)
}

// End is an entry of the journal that says that a unit has stopped.
type End struct {
	Reading
	HasCounters bool // else the unit had no IP accounting, and Moved means nothing
	At          time.Time
	Cursor      string // the entry's place in the journal
}

// Poller counts what units move. Poll belongs to one goroutine; the other methods to any.
type Poller struct {
	manager Manager
	log     Log

	mu    sync.Mutex // for the tally, and never held while systemd is asked
	tally *tally
	// first is set until counters have been read for the first time ever: what they say then
	// was moved before.
	first bool
}

// New returns a Poller that continues from what the database has: states and a cursor of the
// last batch that was written.
func New(m Manager, l Log, c usage.Calendar, saved []usage.ServiceState, cursor string) *Poller {
	return &Poller{
		manager: m, log: l, tally: newTally(c, saved, cursor),
		first: cursor == "" && len(saved) == 0,
	}
}

// Poll reads all counters once. now is the time that they are counted to; what units moved in
// their last moments is counted to the time of their end.
//
// With an error something could not be read. Nothing is lost by that as long as units go on:
// the next Poll counts it. Only if the journal stays unreadable is there no knowing what units
// moved between a Poll and their end.
func (p *Poller) Poll(ctx context.Context, now time.Time) error {
	// Units come first: a unit's counters never run ahead of those at its end.
	unitErr := p.readUnits(ctx, now)
	if p.first {
		return unitErr
	}
	logErr := p.readLog(ctx, now)
	if unitErr == nil && logErr == nil {
		p.mu.Lock()
		p.tally.endRound()
		p.mu.Unlock()
	}
	return errors.Join(unitErr, logErr)
}

func (p *Poller) readUnits(ctx context.Context, now time.Time) error {
	readings, err := p.manager.Units(ctx, p.knownUnits())
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first {
		if err == nil {
			p.first = false
			for i := range readings {
				p.tally.baseline(&readings[i])
			}
		}
		return err
	}
	full := 0
	for i := range readings {
		if !p.tally.count(&readings[i], now) {
			full++
		}
	}
	if full > 0 {
		err = errors.Join(err, fmt.Errorf("%d units have IP accounting, %d of them "+
			"are counted only when they stop", len(readings), full))
	}
	return err
}

// knownUnits returns a function that reports whether a unit has been counted lately.
func (p *Poller) knownUnits() func(string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := make(map[string]struct{}, len(p.tally.states))
	for key := range p.tally.states {
		names[key.unit] = struct{}{}
	}
	return func(unit string) bool {
		_, known := names[unit]
		return known
	}
}

func (p *Poller) readLog(ctx context.Context, now time.Time) error {
	p.mu.Lock()
	cursor := p.tally.cursor
	p.mu.Unlock()
	if cursor == "" {
		return p.toLast(ctx)
	}
	err := p.log.Read(ctx, cursor, func(e *End) { p.countEnd(e, now) })
	if err == nil || ctx.Err() != nil {
		return err
	}
	p.mu.Lock()
	moved := p.tally.cursor != cursor
	p.mu.Unlock()
	if moved { // the next Poll goes on from there
		return err
	}
	// An unreadable journal can't be told from one that doesn't know the cursor, as after
	// its files were deleted; but only the latter has a last entry.
	if again := p.toLast(ctx); again != nil {
		return err
	}
	return fmt.Errorf("the journal no longer has the place up to which it was read: "+
		"what units moved in their last minute is missing: %w", err)
}

// toLast has the journal read from its end on.
func (p *Poller) toLast(ctx context.Context) error {
	last, err := p.log.Last(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.cursor = last
	return nil
}

func (p *Poller) countEnd(e *End, now time.Time) {
	at := e.At
	if at.After(now) || at.IsZero() { // the clock was set
		at = now
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.HasCounters {
		p.tally.end(&e.Reading, at)
	}
	p.tally.cursor = e.Cursor
}

// Take moves what has been counted since the last Take into a batch: Services, ServiceStates
// and JournalCursor. The states are all there are.
func (p *Poller) Take(b *usage.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.take(b)
}

// PutBack takes back what Take moved into a batch that could not be written.
func (p *Poller) PutBack(b *usage.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally.putBack(b)
}
