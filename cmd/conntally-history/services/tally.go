package services

import (
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Limits of a tally.
const (
	// maxNames units have rows of their own each day; what others move is "other".
	maxNames = 1024
	// maxRows bounds what waits for a database that can't be written.
	maxRows = 32 * maxNames
	// maxStates invocations are known.
	maxStates = 8192
	// forgetAfter is how many rounds an invocation stays known that is not seen any more. Its
	// final counters come at once, but a journal under load may be late.
	forgetAfter = 10
)

// tally adds up readings. It does no I/O.
type tally struct {
	calendar usage.Calendar
	states   map[invocation]*state
	moved    map[usage.ServiceHour]usage.Counters
	cursor   string // of the journal: everything up to it is counted

	day   usage.Day
	names map[string]struct{} // with rows of their own on day
}

type invocation struct{ unit, id string }

type state struct {
	counted usage.Counters
	final   bool // the journal has had its final counters
	missed  int  // rounds since it was last seen
}

func newTally(c usage.Calendar, saved []usage.ServiceState, cursor string) *tally {
	t := &tally{
		calendar: c, cursor: cursor,
		states: map[invocation]*state{},
		moved:  map[usage.ServiceHour]usage.Counters{},
		names:  map[string]struct{}{},
	}
	for i := range saved {
		s := &saved[i]
		t.states[invocation{s.Unit, s.Invocation}] = &state{counted: s.Counted}
	}
	return t
}

// baseline remembers a unit's counters without counting them: they are from before the first
// start of conntally-history.
func (t *tally) baseline(r *Reading) {
	if s := t.state(r); s != nil {
		s.counted = r.Moved
	}
}

// count adds what a unit has moved since it was counted last, to the hour of at. It returns false
// if there is no room to remember the unit, so that nothing of it may be counted before its end.
func (t *tally) count(r *Reading, at time.Time) bool {
	s := t.state(r)
	if s == nil {
		return false
	}
	s.missed = 0
	if !s.final {
		t.add(r.Unit, at, since(s.counted, r.Moved))
		s.counted = r.Moved
	}
	return true
}

// end counts a unit's final counters.
func (t *tally) end(r *Reading, at time.Time) {
	if t.count(r, at) {
		t.states[invocation{r.Unit, r.Invocation}].final = true
		return
	}
	t.add(r.Unit, at, r.Moved) // never seen before, and not again
}

// since returns what was moved from counted to now. Counters of one invocation that decrease
// have begun again from zero, all of them: systemctl daemon-reload does that in systemd 256 to 258.
func since(counted, now usage.Counters) usage.Counters {
	if now.UpBytes < counted.UpBytes || now.DownBytes < counted.DownBytes ||
		now.UpPackets < counted.UpPackets || now.DownPackets < counted.DownPackets {
		return now
	}
	return usage.Counters{
		UpBytes: now.UpBytes - counted.UpBytes, DownBytes: now.DownBytes - counted.DownBytes,
		UpPackets: now.UpPackets - counted.UpPackets, DownPackets: now.DownPackets - counted.DownPackets,
	}
}

// state returns the state of a reading's invocation, or nil if there is no room.
func (t *tally) state(r *Reading) *state {
	key := invocation{r.Unit, r.Invocation}
	s := t.states[key]
	if s == nil && (len(t.states) < maxStates || t.forgetOne()) {
		s = &state{}
		t.states[key] = s
	}
	return s
}

// forgetOne forgets the invocation that was not seen for longest, if any was not.
func (t *tally) forgetOne() bool {
	var oldest invocation
	missed := 1 // as all have that were seen in the last round
	for key, s := range t.states {
		if s.missed > missed {
			oldest, missed = key, s.missed
		}
	}
	delete(t.states, oldest)
	return missed > 1
}

func (t *tally) add(unit string, at time.Time, moved usage.Counters) {
	if moved == (usage.Counters{}) {
		return
	}
	hour, day := t.calendar.Hour(at)
	key := usage.ServiceHour{Hour: hour, Day: day, Unit: t.name(unit, day)}
	sum := t.moved[key]
	sum.Add(moved)
	t.moved[key] = sum
}

// name returns the name that a unit's bytes are stored by.
func (t *tally) name(unit string, day usage.Day) string {
	if day > t.day {
		t.day = day
		clear(t.names)
	}
	name := displayName(unit)
	if _, known := t.names[name]; !known {
		if len(t.names) >= maxNames || len(t.moved) >= maxRows {
			return usage.Other
		}
		t.names[name] = struct{}{}
	}
	return name
}

// endRound forgets invocations that were not seen for some rounds. It is called when all living
// units have been counted, and the journal has been read to its end.
func (t *tally) endRound() {
	for key, s := range t.states {
		if s.missed++; s.missed > forgetAfter {
			delete(t.states, key)
		}
	}
}

// take moves what has been counted since the last take into a batch.
func (t *tally) take(b *usage.Batch) {
	b.Services, t.moved = t.moved, map[usage.ServiceHour]usage.Counters{}
	b.ServiceStates = make([]usage.ServiceState, 0, len(t.states))
	for key, s := range t.states {
		b.ServiceStates = append(b.ServiceStates,
			usage.ServiceState{Unit: key.unit, Invocation: key.id, Counted: s.counted})
	}
	b.JournalCursor = t.cursor
}

// putBack takes back what take gave, as it wasn't written.
func (t *tally) putBack(b *usage.Batch) {
	for key, moved := range b.Services {
		if _, known := t.moved[key]; !known && len(t.moved) >= maxRows {
			key.Unit = usage.Other
		}
		sum := t.moved[key]
		sum.Add(moved)
		t.moved[key] = sum
	}
}
