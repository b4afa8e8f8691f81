package main

import (
	"fmt"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
)

// observeInterval is how often counters are looked at.
const observeInterval = monitor.LoopRest

// observed are the counters whose growth is a condition, as they were when last looked at.
type observed struct {
	due            int64 // when to look again, monotonic
	lost, overflow uint64
}

// observeCounters raises the conditions that counters tell of, each observeInterval.
func (p *probe) observeCounters(now conntrack.Timestamp) {
	if now.Mono < p.observed.due {
		return
	}
	seen := observed{due: now.Mono + int64(observeInterval), lost: p.reader.Lost(), overflow: p.table.Stats.Full.Load()}
	was := p.observed
	p.observed = seen
	p.happened(now, condition.EventsLost, seen.lost-was.lost, "ends")
	p.happened(now, condition.TableFull, seen.overflow-was.overflow, "sightings of connections without room")
	p.conditions.Tick(now)
}

// happened raises an event that happened n times.
func (p *probe) happened(now conntrack.Timestamp, id condition.ID, n uint64, unit string) {
	if n > 0 {
		p.conditions.Raise(now, condition.Condition{ID: id, Detail: fmt.Sprintf("%d %s", n, unit)})
	}
}

// observeKernel reads again what counting depends on.
func (p *probe) observeKernel(now conntrack.Timestamp) {
	p.conditions.Observe(now, p.readKernel().Conditions(), condition.OfKernel()...)
}

// hold raises a condition or clears it.
func (p *probe) hold(now conntrack.Timestamp, id condition.ID, holds bool, detail string) {
	if holds {
		p.conditions.Raise(now, condition.Condition{ID: id, Detail: detail})
	} else {
		p.conditions.Clear(now, id, "")
	}
}
