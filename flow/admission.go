package flow

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

// lookup returns the flow of an entry in a dump, and inserts one for a new entry. It
// returns none for an entry that is excluded, has ended already or finds no room.
func (t *Table) lookup(e *conntrack.Event) place {
	key := e.Key()
	k := &key
	h := t.index.hash(k)
	i := t.index.find(k, h)
	switch {
	case i != none || isLocal(e) || t.excludes(e, h):
	case t.tombstones.recent(h) || k.Start != 0 && t.tombstones.older(h):
		t.Stats.StaleEntries.Add(1)
	default:
		i = t.insert(e, k, h)
	}
	return i
}

// insert begins a flow for an entry that a dump shows for the first time, or
// returns none when there is no room.
func (t *Table) insert(e *conntrack.Event, k *conntrack.Key, h uint64) place {
	// An entry that earlier dumps should have shown was counted, then missed by two
	// dumps: counting it whole again would be worse than missing a part.
	old := t.predates(e, k, h) || !t.overflow.active && t.overdue(e) || t.excluded.was(h)
	if t.options.MaxFlows > 0 && t.index.len() >= t.options.MaxFlows {
		t.Stats.TableFull.Add(1)
		t.overflow.add(h, old)
		return none
	}
	t.overflow.forget(h)
	en := &t.scratch
	t.begin(en, e, k)
	t.open(en, e)
	if old {
		en.last, en.idle, en.beginExported = e.Counters, true, true
		en.start, en.lastPacket, en.readAt = e.At.Mono, e.At.Mono, e.At.Mono
		t.Stats.Preexisting.Add(1)
		t.checkpoint(en)
	} else {
		t.observeZeroed(e)
	}
	t.Stats.Flows.Add(1)
	return t.index.insert(en, h)
}

// observeZeroed counts an entry, seen for the first time, whose counters another program has reset.
func (t *Table) observeZeroed(e *conntrack.Event) {
	if wasZeroed(e) {
		t.Stats.CounterResets.Add(1)
		t.Stats.Zeroed.Add(1)
	}
}

// begin makes en a flow that has counted nothing yet, in this run, and exports that its
// translation began, unless the previous run did: the kernel doesn't report it.
func (t *Table) begin(en *entry, e *conntrack.Event, k *conntrack.Key) {
	start := t.startOf(e)
	*en = entry{}
	en.key = *k
	en.reply = e.Reply // in one statement with the key, both would be copied twice
	en.start, en.lastPacket, en.readAt = start, start, start
	en.state, en.mark, en.midstream = e.State, e.Mark, startsMidstream(e)
	t.route(en, e)
	if len(t.restored) > 0 {
		if s, known := t.restored[*k]; known {
			t.resume(en, &s, e.At)
			return
		}
	}
	t.exportNATEvent(en, NATCreate, start, e.At)
}

// startOf returns when an entry began that is seen for the first time: at e.At where it
// has no start time. It began since the last dump: if the system clock was set since, its
// start time may be of the clock before that.
func (t *Table) startOf(e *conntrack.Event) int64 {
	if e.Start <= 0 {
		return e.At.Mono
	}
	start, before := e.At.Mono-(e.At.Wall-e.Start), t.dumps[0]
	if start < before.Mono || start > e.At.Mono {
		start = before.Mono - (before.Wall - e.Start)
	}
	return min(start, e.At.Mono)
}

// countsWhole reports whether an entry that no dump has shown, and whose end is reported,
// is exported whole. Else it is excluded, or, unless it is the first, its end was exported long ago.
func (t *Table) countsWhole(e *conntrack.Event, k *conntrack.Key, h uint64, first bool) bool {
	switch {
	case t.predates(e, k, h), t.excluded.was(h), t.excludes(e, h):
		t.overflow.forget(h)
		t.Stats.Excluded.Add(1)
	case !first && t.endedLongAgo(e, k):
		t.discard(e)
	default:
		return true
	}
	return false
}

// predates reports whether an entry that was never seen is older than the table. Its
// start time decides until the first dump is complete; the older ones among those that
// find no room are remembered. An entry that a complete first dump didn't show is new,
// even where the system clock was set since.
func (t *Table) predates(e *conntrack.Event, k *conntrack.Key, h uint64) bool {
	if !t.baseline && !endedBefore(e, t.opened) {
		return t.overflow.isOlder(h)
	}
	_, known := t.restored[*k]
	return !known && (e.Start == 0 || e.Start < t.began.Wall)
}

// overdue reports whether the last two dumps should have shown e, had it been alive
// until now.
func (t *Table) overdue(e *conntrack.Event) bool {
	before := t.dumps[len(t.dumps)-1]
	return t.dump > uint32(len(t.dumps)) && e.Start > 0 &&
		!clockStepped(e.At, before) && toMono(e.Start, e.At) < before.Mono-stepTolerance
}

// endedLongAgo reports whether e ended before the oldest tombstone: its end was exported then, unless
// the previous run has exported a part of it. That isn't so for an end that is reported for the first
// time but late: see isFirst and ExpectLateEnds.
func (t *Table) endedLongAgo(e *conntrack.Event, k *conntrack.Key) bool {
	if !endedBefore(e, t.tombstones.since) {
		return false
	}
	_, known := t.restored[*k]
	return !known
}

// endedBefore reports whether e is known to have ended before then.
func endedBefore(e *conntrack.Event, then conntrack.Timestamp) bool {
	return e.Stop > 0 && toMono(e.Stop, e.At) < then.Mono && !clockStepped(e.At, then)
}

// isFirst reports whether an end was surely not exported before: it comes once, and no entry has
// disappeared without an end since it ended.
func (t *Table) isFirst(e *conntrack.Event) bool {
	return e.Once && (t.vanished == conntrack.Timestamp{} ||
		e.Stop > 0 && !endedBefore(e, t.vanished))
}

// discard counts an end that was exported before, or may have been.
func (t *Table) discard(e *conntrack.Event) {
	if e.Once {
		t.Stats.LateEnds.Add(1)
	} else {
		t.Stats.Duplicates.Add(1)
	}
}

// stepTolerance is how far the clocks may drift apart without a step.
const stepTolerance = int64(time.Second)

// clockStepped reports whether the system clock was set since before: then the kernel's
// timestamps can't be compared.
func clockStepped(now, before conntrack.Timestamp) bool {
	step := (now.Wall - now.Mono) - (before.Wall - before.Mono)
	return max(step, -step) >= stepTolerance
}

// buryEntry remembers that an entry has ended, and reports whether that was known. Without
// a start time another may have had the same key, but hardly the same counters.
func (t *Table) buryEntry(
	k *conntrack.Key, h uint64, c *[2]conntrack.Counters, now conntrack.Timestamp,
) (again bool) {
	again = t.tombstones.add(h, now)
	if k.Start == 0 {
		again = t.tombstones.add(t.index.hashWith(h, c), now)
	}
	return again
}

// isRetry reports whether an end may be that of another connection although it looks the
// same: TCP that the kernel removes early, as where a connection is refused. Clients try
// again from the same port, with the same counters, and without a start time nothing
// distinguishes the two.
func isRetry(e *conntrack.Event) bool {
	return e.Start == 0 && e.Orig.Proto == conntrack.ProtoTCP && e.HasTimeout && e.Portid == 0
}

// isLocal reports whether a host talks to itself, which never makes a flow. A connection that
// is translated away from loopback leaves the host: for example one to a port of 127.0.0.1
// that is published by a container.
func isLocal(e *conntrack.Event) bool {
	orig, reply := &e.Orig, &e.Reply
	return (orig.Src == orig.Dst || orig.Src.IsLoopback() || orig.Dst.IsLoopback()) &&
		!leavesHost(orig, reply)
}

func leavesHost(orig, reply *conntrack.Tuple) bool {
	away := reply.Src != orig.Dst && !reply.Src.IsLoopback() ||
		reply.Dst != orig.Src && !reply.Dst.IsLoopback()
	return away && reply.Src != reply.Dst
}

// excludes reports whether a connection that has no flow and is not local is excluded, and
// remembers what Options.Exclude decided.
func (t *Table) excludes(e *conntrack.Event, h uint64) bool {
	if !t.excluded.has(h) && (t.options.Exclude == nil || !t.options.Exclude(e)) {
		return false
	}
	t.excluded.add(h)
	return true
}

// excludesFlow ends a flow that the changed options exclude, and reports whether they do.
// What it had moved at the last reading is exported.
func (t *Table) excludesFlow(en *entry, e *conntrack.Event) bool {
	if t.options.Exclude == nil || !t.options.Exclude(e) {
		return false
	}
	t.exportLiving(en, EndForced, e.At)
	t.exportNATEvent(en, NATDelete, e.At.Mono, e.At)
	h := t.index.hash(&en.key)
	t.excluded.add(h)
	t.withhold(en)
	t.remove(en, h)
	return true
}
