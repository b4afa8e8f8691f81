package flow

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

// Options of a Table.
type Options struct {
	Active time.Duration // a flow that is still moving is exported this often
	Idle   time.Duration // a flow that rests is exported after this long
	NAT    View
	// MaxFlows bounds the table. An entry that finds no room is exported
	// whole when it ends; 0 is no bound.
	MaxFlows int
	// RouteResolver finds the interfaces; nil leaves them 0. It is asked once for each
	// flow, and again at the export of one whose path may have changed.
	Routes RouteResolver
	// Exclude says which connections to leave out, besides those on loopback; nil
	// leaves out none. It is asked when a connection is met, and not again.
	Exclude func(*conntrack.Event) bool

	// NATEvents has the Sink told when a translation begins and ends.
	NATEvents bool
	// Describe, where set, adds to a record what the table doesn't know.
	Describe func(*Record)
}

// Table holds a flow for each conntrack entry that it has met. Its methods
// belong to one goroutine.
type Table struct {
	Stats Stats

	options  Options
	timeouts *conntrack.Timeouts
	sink     Sink

	index      index
	tombstones tombstones
	excluded   exclusions
	began      conntrack.Timestamp
	dump       uint32                 // number of the present dump, 1 the first
	dumps      [3]conntrack.Timestamp // when the last three ended, the latest first
	interval   int64                  // between the last two, ns
	late       int64                  // until when ends may be reported late, monotonic
	baseline   bool                   // the first dump is not complete yet
	overflow   overflow
	pair       Pair // being exported

	restored      map[conntrack.Key]Checkpoint // by an earlier life, of what was not met yet
	checkpointing bool
	fresh         []Checkpoint

	shrunk    int64 // when shrink was last called, monotonic
	freshPeak int   // the most notes taken at once since then
}

// NewTable returns an empty table that counts what moves from now on. now must
// not be earlier than the subscription to events.
func NewTable(o Options, t *conntrack.Timeouts, sink Sink, now conntrack.Timestamp) *Table {
	return &Table{
		options: o, timeouts: t, sink: sink,
		index: newIndex(), tombstones: newTombstones(), excluded: newExcluded(),
		began: now, shrunk: now.Mono, dump: 1, baseline: true,
		dumps: [3]conntrack.Timestamp{now, now, now},
	}
}

// SetTimeouts takes over changed kernel timeouts.
func (t *Table) SetTimeouts(timeouts *conntrack.Timeouts) { t.timeouts = timeouts }

// SetMaxFlows takes over a changed bound.
func (t *Table) SetMaxFlows(n int) { t.options.MaxFlows = n }

// Apply takes one event. It keeps no part of it.
func (t *Table) Apply(e *conntrack.Event) {
	switch {
	case !e.Counted:
		t.uncounted(e)
	case e.Kind == conntrack.Destroyed:
		t.destroyed(e)
	default:
		t.live(e)
	}
}

// uncounted takes an entry that the kernel doesn't count.
func (t *Table) uncounted(e *conntrack.Event) {
	switch {
	case !toSelf(e):
		t.Stats.Uncounted.Add(1)
	case e.Kind == conntrack.Destroyed:
		t.Stats.Excluded.Add(1)
	}
}

// live takes an entry of a dump.
func (t *Table) live(e *conntrack.Event) {
	i := t.index.following(e)
	if i == none {
		if i = t.lookup(e); i == none {
			return
		}
		t.index.show(i)
	}
	en := t.index.at(i)
	if t.excluded.before != nil && t.dismissed(en, e) {
		return
	}
	moved := t.update(en, e)
	en.dump = t.dump
	if !en.asleep {
		t.expire(en, moved, e)
	}
}

// lookup finds the flow of an entry or begins one, and returns none where it is left
// out, where its end is known already or where there is no room.
func (t *Table) lookup(e *conntrack.Event) place {
	key := e.Key()
	k := &key
	h := t.index.hash(k)
	if i := t.index.find(k, h); i != none {
		return i
	}
	if t.excludes(e, h) {
		return none
	}
	if t.tombstones.recent(h) || k.Start != 0 && t.tombstones.before(h) {
		t.Stats.StaleEntries.Add(1)
		return none
	}
	return t.insert(e, k, h)
}

// insert begins a flow for an entry that is met alive for the first time, or
// returns none when there is no room.
func (t *Table) insert(e *conntrack.Event, k *conntrack.Key, h uint64) place {
	// What dumps should have shown for long was counted, and then missed by two
	// of them: counting it whole again would be worse than missing a part.
	old := t.predates(e, k, h) || !t.overflow.any && t.overdue(e) || t.excluded.was(h)
	if t.options.MaxFlows > 0 && t.index.len() >= t.options.MaxFlows {
		t.Stats.TableFull.Add(1)
		t.overflow.add(h, old)
		return none
	}
	t.overflow.forget(h)
	en := t.begin(e, k)
	if old {
		en.last, en.asleep, en.begun = e.Counters, true, true
		en.begin, en.moved, en.seen = e.At.Mono, e.At.Mono, e.At.Mono
		t.Stats.Preexisting.Add(1)
		t.checkpoint(&en)
	}
	t.Stats.Flows.Add(1)
	return t.index.insert(en, h)
}

// begin returns a flow that has counted nothing yet, in this life, and tells that its
// translation began, unless an earlier life has: the kernel doesn't report it.
func (t *Table) begin(e *conntrack.Event, k *conntrack.Key) entry {
	start := t.startOf(e)
	en := entry{key: *k, reply: e.Reply, begin: start, moved: start, seen: start, state: e.State, midstream: startsMidstream(e)}
	t.route(&en, e)
	if s, known := t.restored[*k]; known {
		t.resume(&en, &s, e.At)
	} else {
		t.exportNATEvent(&en, NATCreate, start, e.At)
	}
	return en
}

// predates tells whether an entry that was never met is older than the table. Its
// start time decides as long as the first dump goes on, and what is found then is
// kept of one that finds no room. What a complete first dump didn't show is new,
// whatever the system clock did since.
func (t *Table) predates(e *conntrack.Event, k *conntrack.Key, h uint64) bool {
	if !t.baseline {
		return t.overflow.isOlder(h)
	}
	_, known := t.restored[*k]
	return !known && (e.Start == 0 || e.Start < t.began.Wall)
}

// destroyed takes the end of an entry: it brings the final counters.
func (t *Table) destroyed(e *conntrack.Event) {
	if toSelf(e) {
		t.Stats.Excluded.Add(1)
		return
	}
	key := e.Key()
	k := &key
	h := t.index.hash(k)
	i := t.index.find(k, h)
	again := t.hasEnded(k, h, &e.Counters, e.At) && !triedAgain(k, e)
	if i == none {
		if again {
			t.Stats.Duplicates.Add(1)
		} else {
			t.shortLived(e, k, h)
		}
		return
	}
	en := t.index.at(i)
	t.finish(en, e, reasonOf(e))
	t.drop(en, h, goneAt(e), e.At)
}

// drop lets go of a flow whose bytes are exported, with the hash of its key: that its
// translation ended at a moment of the monotonic clock is told.
func (t *Table) drop(en *entry, h uint64, at int64, now conntrack.Timestamp) {
	t.exportNATEvent(en, NATDelete, at, now)
	k := en.key // remove empties en
	t.index.remove(&k, h)
	t.Stats.Flows.Add(-1)
}

// shortLived exports an entry that no dump has shown: it came and went between two, or
// it found no room. Else its end was reported before and is repeated late.
func (t *Table) shortLived(e *conntrack.Event, k *conntrack.Key, h uint64) {
	reason := reasonOf(e)
	switch {
	case t.predates(e, k, h), t.excluded.was(h), t.excludes(e, h):
		t.overflow.forget(h)
		t.Stats.Excluded.Add(1)
		return
	case t.forgotten(e):
		t.Stats.Duplicates.Add(1)
		return
	case t.overflow.any && t.overdue(e):
		reason = EndResources
	}
	en := t.begin(e, k)
	t.finish(&en, e, reason)
	t.endNAT(&en, e)
}

// forgotten tells whether e ended so long ago that its end was reported then. An end
// that is reported late for the first time is not: see Late.
func (t *Table) forgotten(e *conntrack.Event) bool {
	since := t.tombstones.since
	return e.Stop > 0 && !stepped(e.At, since) && toMono(e.Stop, e.At) < since.Mono
}

// overdue tells whether the last two dumps should have shown e, had it been alive
// until now.
func (t *Table) overdue(e *conntrack.Event) bool {
	if t.dump <= uint32(len(t.dumps)) || e.Start <= 0 {
		return false
	}
	before := t.dumps[len(t.dumps)-1]
	return !stepped(e.At, before) && toMono(e.Start, e.At) < before.Mono-stepTolerance
}

// stepped tells whether the system clock was set since before: then the kernel's
// time stamps don't tell.
func stepped(now, before conntrack.Timestamp) bool {
	step := (now.Wall - now.Mono) - (before.Wall - before.Mono)
	return max(step, -step) >= stepTolerance
}

// finish exports the rest of a flow.
func (t *Table) finish(en *entry, e *conntrack.Event, reason EndReason) {
	moved := t.addDeltas(en, e)
	if !en.hasPending() {
		return
	}
	en.moved = t.endOf(en, e, moved)
	t.reroute(en, e)
	t.export(en, reason, e.At)
}

// update takes the present counters of a living entry.
func (t *Table) update(en *entry, e *conntrack.Event) (moved bool) {
	moved = t.addDeltas(en, e)
	if moved {
		last, ok := t.timeouts.LastPacket(e, en.seen)
		if !ok {
			last = e.At.Mono
		}
		en.moved = last
	}
	en.seen = e.At.Mono
	return moved
}

// addDeltas adds what moved. Without a start time, a counter that went down means
// another connection with the same identity.
func (t *Table) addDeltas(en *entry, e *conntrack.Event) (moved bool) {
	if e.Counters == en.last {
		en.updateState(e)
		return false
	}
	if en.rewound(&e.Counters) {
		t.Stats.CounterResets.Add(1)
		if en.key.Start == 0 {
			t.replace(en, e)
		} else {
			t.Stats.Zeroed.Add(1)
		}
	}
	moved = en.count(&e.Counters)
	if moved {
		en.wake()
	}
	en.updateState(e)
	return moved
}

// replace exports what is pending and begins a new flow in its place.
func (t *Table) replace(en *entry, e *conntrack.Event) {
	t.export(en, restReason(en), e.At)
	t.endNAT(en, e)
	seen, after := en.seen, en.after
	*en = t.begin(e, &en.key)
	en.begin, en.moved, en.seen, en.after = seen, seen, seen, after
}
