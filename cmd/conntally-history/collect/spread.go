package collect

import (
	"math/bits"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// longest is how far back a record is spread. What it counts from before belongs to the
// first hour.
const longest = 8 * 24 * time.Hour

// span is the time that a record covers.
type span struct{ start, end time.Time }

// newSpan returns the time that a record covers, as far as that is plausible: a record without
// an end ends when it was exported, none ends after it was received, and one without a start
// starts at its end. One that is older than longest is of an exporter whose clock is wrong: it
// counts as of when it was received.
func newSpan(start, end, exported, received time.Time) span {
	if end.IsZero() {
		end = exported
	}
	if end.IsZero() || end.After(received) {
		end = received
	}
	if received.Sub(end) > longest {
		return span{received, received}
	}
	if start.IsZero() || start.After(end) {
		start = end
	}
	return span{start, end}
}

// moved is what one direction of a connection moved.
type moved struct{ bytes, packets uint64 }

// part is what a record moved in one hour, between two times.
type part struct {
	hour usage.Hour
	day  usage.Day
	span
	moved
}

// spread calls add with the part of m that belongs to each hour, in their order. The parts are
// proportional to time, rounded down at the end of each hour, and add up to m. Hours without a
// part are left out.
func (s span) spread(c usage.Calendar, received time.Time, m moved, add func(part)) {
	at := s.start
	if oldest := received.Add(-longest); at.Before(oldest) {
		at = oldest
	}
	var counted moved
	for {
		hour, day := c.Hour(at)
		next := hourEnd(c, at)
		if !next.Before(s.end) {
			add(part{hour, day, span{at, s.end}, m.minus(counted)})
			return
		}
		until := m.share(next.Sub(s.start), s.end.Sub(s.start))
		if p := until.minus(counted); p != (moved{}) {
			add(part{hour, day, span{at, next}, p})
		}
		counted, at = until, next
	}
}

// hourEnd returns when the hour that t is in ends. Where clocks change in the middle of an
// hour, it returns that time instead.
func hourEnd(c usage.Calendar, t time.Time) time.Time {
	local := t.In(c.Location)
	passed := time.Duration(local.Minute())*time.Minute +
		time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
	end := local.Add(time.Hour - passed)
	if _, change := local.ZoneBounds(); !change.IsZero() && change.Before(end) {
		return change
	}
	return end
}

func (m moved) minus(n moved) moved { return moved{m.bytes - n.bytes, m.packets - n.packets} }

// share returns the share of m that belongs to passed of total, rounded down.
func (m moved) share(passed, total time.Duration) moved {
	return moved{share(m.bytes, passed, total), share(m.packets, passed, total)}
}

func share(n uint64, passed, total time.Duration) uint64 {
	if passed >= total {
		return n
	}
	high, low := bits.Mul64(n, uint64(passed))
	quotient, _ := bits.Div64(high, low, uint64(total))
	return quotient
}
