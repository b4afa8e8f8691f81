package probe

import (
	"fmt"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/bpf"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

const (
	// observeInterval is the time between two comparisons of the counters.
	observeInterval = monitor.LoopPeriod
	// frozenAfter is longer than a flowtable keeps an idle connection: 30 s by default,
	// net.netfilter.nf_flowtable_*_timeout.
	frozenAfter = time.Minute
	// EndsMissing is raised if at least missedMin connections, and at least one in
	// missedShare, ended without an event since the last poll.
	missedMin   = 10
	missedShare = 10
)

// observed holds what the conditions are derived from.
type observed struct {
	due      int64    // when to compare the counters again, monotonic
	counters counters // at the last comparison
	ends     counters // at the last dump

	tracked   bool  // connection tracking was seen to be on
	explained int64 // until when missed DESTROY events have a known cause, monotonic

	entries     kernel.EntryStats // of this dump
	offloaded   kernel.EntryStats // of a dump at least frozenAfter ago
	offloadedAt int64             // when that was, monotonic
}

// counters are the counters whose growth raises a condition.
type counters struct {
	lost, repeated, overflow, zeroed, malformed, reopened, stalls, resized uint64
	missed, ended, late, unprinted                                         uint64
}

func (p *Probe) counters() counters {
	c, f := &p.reader.Stats, &p.table.Stats
	n := counters{
		lost: p.reader.Lost(), repeated: c.Repeated.Load(), overflow: f.TableFull.Load(),
		zeroed:    f.Zeroed.Load(),
		malformed: c.Malformed.Load(), reopened: p.Stats.Reopened.Load(), stalls: c.Stalls.Load(),
		resized: p.Stats.DiscardedDumps.Load(), missed: f.MissedNew.Load(),
		ended: c.Destroys.Load(), late: f.LateEnds.Load(),
	}
	if p.printer != nil {
		n.unprinted = p.printer.Stats.Missed.Load()
	}
	return n
}

// observeCounters raises the conditions of counters that have grown, every observeInterval.
func (p *Probe) observeCounters(now conntrack.Timestamp) {
	if now.Mono < p.observed.due {
		return
	}
	is, was := p.counters(), p.observed.counters
	p.observed.counters, p.observed.due = is, now.Mono+int64(observeInterval)
	p.happened(now, condition.EventsLost, is.lost-was.lost, "event", "events")
	p.happened(now, condition.TableFull, is.overflow-was.overflow,
		"time a connection found no room", "times a connection found no room")
	p.happened(now, condition.CountersZeroed, is.zeroed-was.zeroed,
		"connection's counters were reset", "connections' counters were reset")
	p.happened(now, condition.EndsLate, is.late-was.late, "end", "ends")
	p.happened(now, condition.Malformed, is.malformed-was.malformed, "message", "messages")
	p.observeFailures(now)
	p.observeNames(now)
	p.observeFilters(now)
	p.happened(now, condition.NotPrinted, is.unprinted-was.unprinted, "record", "records")
	p.happened(now, condition.TableResized, is.resized-was.resized, "dump", "dumps")
	p.conditions.Tick(now)
}

// observeFailures raises a condition for each collector that can't be reached.
func (p *Probe) observeFailures(now conntrack.Timestamp) {
	var list []condition.Condition
	for _, c := range p.exporter.Collectors {
		if err := c.Failure(now); err != nil {
			list = append(list, condition.Condition{
				ID: condition.CollectorFails, Subject: collectorSubject(c),
				Detail: fmt.Sprintf("%v; %d flows with %d bytes lost so far", err,
					c.Stats.LostFlows.Load(), c.Stats.LostOctets.Load()),
			})
		}
	}
	p.conditions.Observe(now, list, condition.CollectorFails)
}

// observeNames raises a condition for each file of names that can't be read.
func (p *Probe) observeNames(now conntrack.Timestamp) {
	if p.names != nil {
		p.conditions.Observe(now, condition.OfNames(p.names.Problems()), condition.NamesUnreadable)
	}
}

// observeFilters raises a condition for each interface that a filter names in vain.
func (p *Probe) observeFilters(now conntrack.Timestamp) {
	list := condition.OfFilters(p.config.FilterInterfaces(), func(name string) bool {
		_, exists := p.routes.Index(name)
		return exists
	})
	p.conditions.Observe(now, list, condition.FilterInterface)
}

// collectorSubject names a collector: two may have one address.
func collectorSubject(c *export.Collector) string {
	return fmt.Sprintf("%s, %s", c.Config.Address, c.Config.Protocol)
}

// happened raises the condition of an event that happened n times, unless n is 0.
func (p *Probe) happened(now conntrack.Timestamp, id condition.ID, n uint64, one, many string) {
	switch n {
	case 0:
		return
	case 1:
		many = one
	}
	p.conditions.Raise(now, condition.Condition{ID: id, Detail: fmt.Sprintf("%d %s", n, many)})
}

// setCondition raises c if it holds, and clears it otherwise.
func (p *Probe) setCondition(now conntrack.Timestamp, holds bool, c condition.Condition) {
	if holds {
		p.conditions.Raise(now, c)
	} else {
		p.conditions.Clear(c.ID, c.Subject)
	}
}

// observeKernel reads the kernel settings that counting depends on, and turns them on. Where
// connections end, tracking isn't tested: it is on, unless it is known to be off and the old
// entries end.
func (p *Probe) observeKernel(now conntrack.Timestamp) {
	quiet := p.observed.counters.ended == p.reader.Stats.Destroys.Load()
	k := p.readKernel(condition.Ask{
		Enable: true, ByBPF: p.reader.Step() != bpf.Netlink,
		Available:  p.conditions.Holds(condition.DumpFailed),
		Tracking:   quiet || p.conditions.Holds(condition.NotTracked),
		Flowtables: p.observed.entries.Offloaded > 0 || hasFlowtables(),
	})
	p.reportRestored(now, k)
	p.resolveTracking(k)
	p.conditions.Observe(now, k.Conditions(), condition.OfKernel()...)
}

// reportRestored reports the settings that observeKernel turned on: as information when
// the probe starts or conntrack is loaded later, as a condition if they were on before.
func (p *Probe) reportRestored(now conntrack.Timestamp, k *condition.Kernel) {
	for _, s := range k.Restored {
		if strings.HasSuffix(s.Name, "_events") {
			p.events = s
		}
		if !p.prepared {
			p.log.Info("turned on in the kernel; connections that are already open are not counted",
				zap.String("setting", s.Name), zap.Int("was", s.Was))
			continue
		}
		p.conditions.Raise(now, condition.Condition{
			ID: condition.SettingRestored, Subject: s.Name, Detail: fmt.Sprintf("it was %d", s.Was),
		})
	}
	p.prepared = p.prepared || k.Loaded == nil && len(k.Settings) > 0
}

// resolveTracking decides TrackingDoubted: if connections were tracked before, no rule
// exempts loopback, so tracking is off and the remaining entries are old ones. A test that
// failed doesn't end NotTracked.
func (p *Probe) resolveTracking(k *condition.Kernel) {
	switch k.Tracked {
	case condition.TrackingOn:
		p.observed.tracked = true
	case condition.TrackingDoubted:
		if p.observed.tracked {
			k.Tracked = condition.TrackingOff
		}
	case condition.TrackingUnknown:
		if p.conditions.Holds(condition.NotTracked) {
			k.Tracked = condition.TrackingOff
		}
	}
}

// hasFlowtables reports whether the kernel has loaded the module for flowtables. Listing
// them would load it.
func hasFlowtables() bool {
	_, err := os.Stat("/sys/module/nf_flow_table")
	return err == nil
}

// observeDump raises the conditions that a complete dump shows.
func (p *Probe) observeDump(now conntrack.Timestamp) {
	o := &p.observed
	p.conditions.Clear(condition.DumpFailed, "")
	p.conditions.Observe(now, condition.OfEntries(&o.entries), condition.Uncounted)
	if now.Mono-o.offloadedAt >= int64(frozenAfter) {
		moved, seen := o.entries.Moved(&o.offloaded)
		frozen := condition.Frozen(seen, moved)
		if p.conditions.Holds(condition.FlowtableSilent) { // it is known why
			frozen = nil
		}
		p.conditions.Observe(now, frozen, condition.OffloadFrozen)
		o.entries, o.offloaded, o.offloadedAt = o.offloaded, o.entries, now.Mono
	}
	p.observeEnds(now)
}

// observeEnds raises EndsMissing if many connections ended without a DESTROY event and no
// known cause explains it. A connection counts as ended once two dumps lack it.
func (p *Probe) observeEnds(now conntrack.Timestamp) {
	o, is := &p.observed, p.counters()
	was := o.ends
	o.ends = is
	if is.lost != was.lost || is.repeated != was.repeated || is.reopened != was.reopened ||
		is.stalls != was.stalls {
		o.explained = now.Mono + 4*int64(p.pacer.interval())
	}
	missed, ended := is.missed-was.missed, is.ended-was.ended
	if missed >= missedMin && missed*missedShare >= missed+ended && now.Mono >= o.explained {
		p.conditions.Raise(now, condition.Condition{
			ID: condition.EndsMissing, Detail: fmt.Sprintf("%d of %d since the last poll", missed,
				missed+ended),
		})
	}
}

// dumpFailed counts a failed dump and raises its condition.
func (p *Probe) dumpFailed(now conntrack.Timestamp, err error) {
	p.Stats.FailedDumps.Add(1)
	p.conditions.Raise(now, condition.Condition{ID: condition.DumpFailed, Detail: err.Error()})
}

// observeBuffer raises BufferSmall if the event socket's receive buffer is smaller than
// configured. inForce, in bytes, is twice what was set, as the kernel reports it.
func (p *Probe) observeBuffer(now conntrack.Timestamp, inForce int) {
	p.Stats.ReceiveBuffer.Store(int64(inForce))
	want := int(p.config.Conntrack.ReceiveBuffer)
	asked := p.reader.Step() != bpf.Netlink || 2*want <= inForce // a ring is as large as asked
	p.setCondition(now, 0 < inForce && !asked, condition.Condition{
		ID: condition.BufferSmall, Detail: fmt.Sprintf("%d of %d bytes", inForce/2, want),
		Fix: fmt.Sprintf("sysctl -w net.core.rmem_max=%d", want),
	})
}

// stateWritten records the result of writing the state file.
func (p *Probe) stateWritten(err error) {
	c := condition.Condition{ID: condition.StateFailed, Subject: StateFile}
	if err != nil {
		p.Stats.StateErrors.Add(1)
		c.Detail = err.Error()
	}
	p.setCondition(p.clock(), err != nil, c)
}

// devicesSaved records the result of writing the file of devices.
func (p *Probe) devicesSaved(err error) {
	c := condition.Condition{ID: condition.StateFailed, Subject: DevicesFile}
	if err != nil {
		p.Stats.StateErrors.Add(1)
		c.Detail = err.Error()
	}
	p.setCondition(p.clock(), err != nil, c)
}

// observeCollectors raises NoCollector if a service has no collector configured.
func (p *Probe) observeCollectors() {
	p.setCondition(p.clock(), len(p.config.Collectors) == 0 && isService(),
		condition.Condition{ID: condition.NoCollector})
}

// isService reports whether a service manager started the process, so that nobody reads
// its output: systemd, procd and OpenRC are its parent or set $NOTIFY_SOCKET.
func isService() bool { return os.Getppid() <= 1 || os.Getenv("NOTIFY_SOCKET") != "" }
