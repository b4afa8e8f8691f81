package flow

import "github.com/conntally/conntally/conntrack"

// Meter counts what connections move at each reading, which is earlier than records do. A
// Table calls it for each connection that it exports. Its methods allocate nothing once warm and
// never block.
type Meter interface {
	// Open begins to count a connection and returns a number for it, which Close frees.
	Open(e *conntrack.Event, p Path) (slot uint32)
	// Count adds what a connection has moved since its last reading, at the time of this
	// one. moved is valid until Count returns.
	Count(slot uint32, moved *[2]conntrack.Counters, at conntrack.Timestamp)
	// Close ends a connection.
	Close(slot uint32)
	// CountEnded adds all that a connection has moved that was never opened: it is first seen
	// at its end.
	CountEnded(e *conntrack.Event, p Path, moved *[2]conntrack.Counters)
}

// open makes the meter count a flow.
func (t *Table) open(en *entry, e *conntrack.Event) {
	if t.options.Meter != nil {
		en.slot = t.options.Meter.Open(e, en.path)
	}
}

// close makes the meter forget a flow.
func (t *Table) close(en *entry) {
	if t.options.Meter != nil {
		t.options.Meter.Close(en.slot)
	}
}

// Connection is a living connection as it was last read.
type Connection struct {
	ID          uint64
	Orig, Reply conntrack.Tuple
	Zone        uint16
	Counters    [2]conntrack.Counters // of the kernel, since the connection began
	Start       int64                 // ns since 1970
	State       uint8                 // of TCP
	Path        Path
	Slot        uint32    // of the Meter
	Moved       [2]uint64 // bytes, between the last two complete dumps; 0 without a Meter
}

// Connections calls fn with the connection of each flow, which is valid until fn returns. now
// is for the conversion of times.
func (t *Table) Connections(now conntrack.Timestamp, fn func(*Connection)) {
	var c Connection
	t.index.each(func(en *entry) {
		c = Connection{
			ID: en.id(), Orig: en.key.Orig, Reply: en.reply, Zone: en.key.Zone,
			Counters: en.last, Start: en.key.Start, State: en.state, Path: en.path, Slot: en.slot,
		}
		if en.movedIn+1 >= t.dump {
			c.Moved = en.moved
		}
		if c.Start == 0 {
			c.Start = toWall(en.start, now)
		}
		fn(&c)
	})
}

// LastDump returns when the last complete dump ended, and how long after the one before.
func (t *Table) LastDump() (at conntrack.Timestamp, interval int64) {
	return t.dumps[0], t.interval
}
