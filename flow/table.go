package flow

import (
	"sync/atomic"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// Options of a Table.
type Options struct {
	Active time.Duration // a flow that keeps moving is exported this often
	Idle   time.Duration // a flow that doesn't move is exported after this long
	NAT    View
	// MaxFlows bounds the table. An entry that finds no room is exported
	// whole when it ends; 0 is no bound.
	MaxFlows int
	// Routes finds the interfaces; if nil, they are 0. It is asked once for each flow, and
	// again when a flow is exported whose path may have changed.
	Routes RouteResolver
	// Meter counts what moves as it is read; nil counts nothing.
	Meter Meter
	// Exclude reports whether to leave out a connection, besides those on loopback; nil
	// excludes none. It is called once for each connection, when that is first seen.
	Exclude func(*conntrack.Event) bool

	// Biflow describes a direction that has moved nothing like the other one, for sinks that
	// export both as one record.
	Biflow bool
	// NATEvents exports the beginning and the end of each translation, too.
	NATEvents bool
	// Describe, if not nil, adds to a record what the table doesn't know.
	Describe func(*Record)
}

// Stats counts what a Table does. Any goroutine may read it.
type Stats struct {
	Flows       atomic.Int64  // entries in the table
	Records     atomic.Uint64 // records exported
	Preexisting atomic.Uint64 // entries older than the table, of which only later traffic counts
	Restored    atomic.Uint64 // entries that a previous run has exported in part
	// Excluded are ends not exported: loopback, own export, older than the table and never seen.
	Excluded      atomic.Uint64
	Uncounted     atomic.Uint64 // entries older than nf_conntrack_acct=1, each time one is seen
	Duplicates    atomic.Uint64 // ends reported twice
	StaleEntries  atomic.Uint64 // dump entries whose end was already known
	CounterResets atomic.Uint64 // counters that went down
	// Zeroed are those whose connection is still the same, and connections that have counted
	// nothing when first seen, though they were answered.
	Zeroed         atomic.Uint64
	MissedDestroys atomic.Uint64 // entries that disappeared without a DESTROY event
	MissedNew      atomic.Uint64 // those that are younger than the table
	// LateEnds are ends that came once and late, of what may have been exported when it disappeared:
	// not exported, to count nothing twice.
	LateEnds  atomic.Uint64
	TableFull atomic.Uint64 // entries that the table had no room for, each time one is seen
}

// Table holds a flow for each conntrack entry that it has seen. Its methods
// belong to one goroutine.
type Table struct {
	Stats Stats

	options  Options
	timeouts *conntrack.Timeouts
	sink     Sink
	pair     Pair                  // being exported
	moved    [2]conntrack.Counters // by the entry being read
	scratch  entry                 // of a flow that begins; that of a short one is nowhere else
	lastHops knownHops

	index      index
	tombstones tombstones
	excluded   exclusions
	overflow   overflow

	began       conntrack.Timestamp
	dump        uint32                 // number of the present dump, 1 the first
	dumps       [3]conntrack.Timestamp // when the last three ended, the latest first
	interval    int64                  // between the last two, ns
	repeatUntil int64                  // until when ends may be repeated, monotonic
	opened      conntrack.Timestamp    // when this run began
	awaitsEnds  bool                   // see AwaitEnds
	vanished    conntrack.Timestamp    // when an entry last disappeared without an end, or zero
	baseline    bool                   // the first dump is not complete yet

	restored      map[conntrack.Key]Checkpoint // by the previous run, of entries not seen yet
	unsifted      bool                         // restored has entries without a start, perhaps
	checkpointing bool
	fresh         []Checkpoint // not taken by NewCheckpoints yet

	shrunk    int64 // when shrink was last called, monotonic
	freshPeak int   // the most checkpoints taken at once since then
}

// NewTable returns an empty table that counts what moves from now on. now must
// not be earlier than the subscription to events.
func NewTable(o Options, t *conntrack.Timeouts, sink Sink, now conntrack.Timestamp) *Table {
	return &Table{
		options: o, timeouts: t, sink: sink,
		index: newIndex(), tombstones: newTombstones(), excluded: newExclusions(),
		began: now, opened: now, shrunk: now.Mono, dump: 1, baseline: true,
		dumps: [3]conntrack.Timestamp{now, now, now},
	}
}

// SetTimeouts replaces the kernel's timeouts.
func (t *Table) SetTimeouts(timeouts *conntrack.Timeouts) { t.timeouts = timeouts }

// SetSink replaces the sink.
func (t *Table) SetSink(s Sink) { t.sink = s }

// SetMaxFlows replaces Options.MaxFlows.
func (t *Table) SetMaxFlows(n int) { t.options.MaxFlows = n }

// Reconfigure replaces the options except Routes and Meter. Exclude is called again for every
// connection, for those with a flow at the next dump. A connection that is no longer
// excluded counts from now on.
func (t *Table) Reconfigure(o Options) {
	o.Routes, o.Meter = t.options.Routes, t.options.Meter
	t.options = o
	t.excluded.restart()
}

// Apply takes one event. It keeps no part of it.
func (t *Table) Apply(e *conntrack.Event) {
	switch {
	case !e.Counted:
		t.countUncounted(e)
	case e.Type == conntrack.Destroy:
		t.applyDestroy(e)
	default:
		t.applyDump(e)
	}
}

// countUncounted counts an entry that has no counters.
func (t *Table) countUncounted(e *conntrack.Event) {
	switch {
	case !isLocal(e):
		t.Stats.Uncounted.Add(1)
	case e.Type == conntrack.Destroy:
		t.Stats.Excluded.Add(1)
	}
}

const (
	// shrinkEvery is how often the table compares what it holds with what it has room for.
	// Memory that was not needed during a whole period is given back at its end: at the latest
	// two periods after it was last needed.
	shrinkEvery = int64(4 * time.Minute)
	// shrinkShare is how many times larger than needed the table must be to shrink: a table
	// whose size varies with the time of day keeps its memory.
	shrinkShare = 10
)

// shrink gives back memory, if that is due. Entries change their places.
func (t *Table) shrink(now int64) {
	if now-t.shrunk < shrinkEvery {
		return
	}
	t.shrunk = now
	t.index.shrink()
	if t.options.Routes != nil {
		t.options.Routes.Shrink()
	}
	for _, set := range t.hashSets() {
		set.shrink()
	}
	t.freshPeak = max(t.freshPeak, len(t.fresh))
	if shrinkShare*t.freshPeak < cap(t.fresh) {
		t.fresh = append(make([]Checkpoint, 0, t.freshPeak), t.fresh...)
	}
	t.freshPeak = 0
}

// hashSets returns all sets that grow with connections.
func (t *Table) hashSets() [4]*hashSet {
	return [...]*hashSet{
		&t.tombstones.current, &t.tombstones.previous, &t.excluded.current, &t.excluded.previous,
	}
}
