package probe

import (
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

const (
	// observeInterval is how often counters are looked at.
	observeInterval = monitor.LoopRest
	// frozenAfter is longer than a flowtable keeps a connection that rests: 30 s, unless
	// net.netfilter.nf_flowtable_*_timeout says otherwise.
	frozenAfter = time.Minute
	// missedLeast and missedShare are how many ends go unreported where something is
	// wrong: at least so many in a poll, and one of so many.
	missedLeast = 10
	missedShare = 10
)

// observed is what the probe has seen when it last looked for conditions.
type observed struct {
	due      int64 // when to look at counters again, monotonic
	counters counters
	ends     counters // at the last dump

	tracked   bool  // connections were, at some time
	explained int64 // until when unreported ends have a known cause, monotonic

	entries, offloaded kernel.EntryStats // of this dump, and of one frozenAfter or more ago
	offloadedAt        int64
}

// counters are those whose growth is a condition.
type counters struct {
	lost, repeated, overflow, zeroed, malformed, reopened, stalls, resized uint64
	missed, ended, unprinted                                               uint64
}

func (p *Probe) counters() counters {
	c, f := &p.reader.Stats, &p.table.Stats
	n := counters{
		lost: p.reader.Lost(), repeated: c.Repeated.Load(), overflow: f.TableFull.Load(), zeroed: f.Zeroed.Load(),
		malformed: c.Malformed.Load(), reopened: p.Stats.Reopened.Load(), stalls: c.Stalls.Load(),
		resized: p.Stats.DiscardedDumps.Load(), missed: f.MissedNew.Load(), ended: c.Destroys.Load(),
	}
	if p.printer != nil {
		n.unprinted = p.printer.Stats.Missed.Load()
	}
	return n
}

// observeCounters raises the conditions that counters tell of, each observeInterval.
func (p *Probe) observeCounters(now conntrack.Timestamp) {
	if now.Mono < p.observed.due {
		return
	}
	is, was := p.counters(), p.observed.counters
	p.observed.counters, p.observed.due = is, now.Mono+int64(observeInterval)
	p.happened(now, condition.EventsLost, is.lost-was.lost, "ends")
	p.happened(now, condition.TableFull, is.overflow-was.overflow, "sightings of connections without room")
	p.happened(now, condition.CountersZeroed, is.zeroed-was.zeroed, "counters went down")
	p.happened(now, condition.Malformed, is.malformed-was.malformed, "messages")
	p.observeFailures(now)
	p.happened(now, condition.NotPrinted, is.unprinted-was.unprinted, "records")
	p.happened(now, condition.TableResized, is.resized-was.resized, "dumps")
	p.conditions.Tick(now)
}

// observeFailures raises a condition for each collector that can't be reached.
func (p *Probe) observeFailures(now conntrack.Timestamp) {
	var list []condition.Condition
	for _, c := range p.exporter.Collectors {
		if err := c.Failure(now); err != nil {
			list = append(list, condition.Condition{
				ID: condition.CollectorFails, Subject: fmt.Sprintf("%s, %s", c.Target.Address, c.Target.Protocol),
				Detail: fmt.Sprintf("%v; %d flows with %d bytes lost so far", err, c.Stats.LostFlows.Load(), c.Stats.LostOctets.Load()),
			})
		}
	}
	p.conditions.Observe(now, list, condition.CollectorFails)
}

// happened raises an event that happened n times.
func (p *Probe) happened(now conntrack.Timestamp, id condition.ID, n uint64, unit string) {
	if n > 0 {
		p.conditions.Raise(now, condition.Condition{ID: id, Detail: fmt.Sprintf("%d %s", n, unit)})
	}
}

// hold raises a condition or clears it.
func (p *Probe) hold(now conntrack.Timestamp, holds bool, c condition.Condition) {
	if holds {
		p.conditions.Raise(now, c)
	} else {
		p.conditions.Clear(c.ID, c.Subject)
	}
}

// observeKernel reads again what counting depends on, and turns it on where it is off.
func (p *Probe) observeKernel(now conntrack.Timestamp) {
	quiet := p.observed.counters.ended == p.reader.Stats.Destroys.Load()
	k := p.readKernel(condition.Ask{
		Enable: true, Available: p.conditions.Holds(condition.DumpFailed), Tracking: quiet,
		Flowtables: p.observed.entries.Offloaded > 0 || hasFlowtables(),
	})
	p.restored(now, k)
	p.judgeTracking(k)
	p.conditions.Observe(now, k.Conditions(), condition.OfKernel()...)
}

// restored tells of settings that were turned on. At the start, and where conntrack comes
// later, that is as it should be.
func (p *Probe) restored(now conntrack.Timestamp, k *condition.Kernel) {
	for _, s := range k.Restored {
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

// judgeTracking resolves a doubt: where loopback was tracked before, no rule exempts it,
// and the connections that there are began before the rules went.
func (p *Probe) judgeTracking(k *condition.Kernel) {
	switch k.Tracked {
	case condition.TrackingOn:
		p.observed.tracked = true
	case condition.TrackingDoubted:
		if p.observed.tracked {
			k.Tracked = condition.TrackingOff
		}
	}
}

// hasFlowtables reports whether the kernel has loaded what flowtables need. Asking for
// them would load it.
func hasFlowtables() bool {
	_, err := os.Stat("/sys/module/nf_flow_table")
	return err == nil
}

// observeDump raises the conditions that a whole dump tells of.
func (p *Probe) observeDump(now conntrack.Timestamp) {
	o := &p.observed
	p.conditions.Clear(condition.DumpFailed, "")
	p.conditions.Observe(now, condition.OfEntries(&o.entries), condition.Uncounted)
	if now.Mono-o.offloadedAt >= int64(frozenAfter) {
		moved, met := o.entries.Moved(&o.offloaded)
		p.conditions.Observe(now, condition.Frozen(met, moved), condition.OffloadFrozen)
		o.entries, o.offloaded, o.offloadedAt = o.offloaded, o.entries, now.Mono
	}
	p.observeEnds(now)
}

// observeEnds raises EndsMissing where many connections went without an event, and no
// known cause explains it. A connection is gone after two dumps without it.
func (p *Probe) observeEnds(now conntrack.Timestamp) {
	o, is := &p.observed, p.counters()
	was := o.ends
	o.ends = is
	if is.lost != was.lost || is.repeated != was.repeated || is.reopened != was.reopened || is.stalls != was.stalls {
		o.explained = now.Mono + 4*int64(p.pacer.interval())
	}
	missed, ended := is.missed-was.missed, is.ended-was.ended
	if missed >= missedLeast && missed*missedShare >= missed+ended && now.Mono >= o.explained {
		p.conditions.Raise(now, condition.Condition{
			ID: condition.EndsMissing, Detail: fmt.Sprintf("%d of %d since the last poll", missed, missed+ended),
		})
	}
}

// dumpFailed raises the condition of a dump that failed.
func (p *Probe) dumpFailed(now conntrack.Timestamp, err error) {
	p.Stats.FailedDumps.Add(1)
	p.conditions.Raise(now, condition.Condition{ID: condition.DumpFailed, Detail: err.Error()})
}

// observeBuffer raises BufferSmall where the event socket got less than it was to have. The
// kernel reports twice what was set.
func (p *Probe) observeBuffer(now conntrack.Timestamp, inForce int) {
	p.Stats.ReceiveBuffer.Store(int64(inForce))
	want := int(p.config.Conntrack.ReceiveBuffer)
	p.hold(now, 0 < inForce && inForce < 2*want, condition.Condition{
		ID: condition.BufferSmall, Detail: fmt.Sprintf("%d of %d bytes", inForce/2, want),
		Fix: fmt.Sprintf("sysctl -w net.core.rmem_max=%d", want),
	})
}

// stateWritten takes the result of writing the state file.
func (p *Probe) stateWritten(err error) {
	c := condition.Condition{ID: condition.StateFailed}
	if err != nil {
		p.Stats.StateErrors.Add(1)
		c.Detail = err.Error()
	}
	p.hold(p.clock(), err != nil, c)
}

// observeCollectors raises NoCollector where the configuration of a service has none.
func (p *Probe) observeCollectors() {
	p.hold(p.clock(), len(p.config.Collectors) == 0 && isService(), condition.Condition{ID: condition.NoCollector})
}

// isService reports whether a service manager started the process, so that nobody reads
// what it prints: systemd, procd and OpenRC are its parent, or have it notify them.
func isService() bool { return os.Getppid() <= 1 || os.Getenv("NOTIFY_SOCKET") != "" }
