package flow

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

// ending is when and why a connection ended. Times are of the monotonic clock.
type ending struct {
	reason     EndReason
	lastPacket int64
	removed    int64 // when the kernel removed its entry
}

const (
	// timerDoubt is how long before or after the time that CTA_TIMEOUT gives a packet may have
	// passed: its resolution is a second.
	timerDoubt = int64(time.Second / 2)
	// timerSlack is how much an entry's timer, which counts ticks and is set before the start
	// time is taken, may differ from the kernel's timestamps.
	timerSlack = int64(time.Second)
)

// endOf returns when and why the connection of a DESTROY ended.
func (t *Table) endOf(en *entry, e *conntrack.Event) ending {
	removed := removedAt(e)
	return ending{
		reason: reasonOf(e), lastPacket: t.lastPacketOf(en, e, removed), removed: removed,
	}
}

// lastPacketOf returns when the last packet of an entry passed that has ended. Stop is
// the instant of its expiry, which is its last timeout after the last packet,
// or the instant at which it was removed; both are stop.
func (t *Table) lastPacketOf(en *entry, e *conntrack.Event, stop int64) int64 {
	// The last packet came after the counters were last read if they moved
	// since, and before that if they didn't.
	earliest, latest, last := en.start, en.readAt, en.lastPacket
	if en.movedSince(&e.Counters) {
		earliest, latest = max(en.start, en.readAt), e.At.Mono
		last = max(earliest, stop)
	}
	switch {
	case e.Stop <= 0:
		last = max(earliest, en.lastPacket)
	case e.HasTimeout:
		last = t.lastBeforeRemoval(e, max(earliest, stop), earliest)
	default: // last stays where no timeout that we know of explains when the entry expired
		timeouts := t.timeouts.Of(e)
		for i := range timeouts {
			timeout := timeouts[i]
			end := stop - int64(timeout)
			if timeout != 0 && earliest-timerSlack <= end && end <= latest+timerSlack {
				last = min(max(end, earliest), latest)
				break
			}
		}
	}
	return last
}

// lastBeforeRemoval returns when the last packet of an entry passed that was removed
// before its timeout. Deletion by hand ends a flow; an entry that the kernel itself
// removed has a timer that shows it.
func (t *Table) lastBeforeRemoval(e *conntrack.Event, stop, earliest int64) int64 {
	if last, ok := t.timeouts.LastPacket(e, earliest); ok && e.Portid == 0 {
		return min(last, stop)
	}
	return stop
}

// lastPacket returns when the last packet of a living entry passed that has moved
// since seen: by its timer, or else at the latest now.
func (t *Table) lastPacket(e *conntrack.Event, seen int64) int64 {
	if last, ok := t.timeouts.LastPacket(e, seen); ok {
		return last
	}
	return e.At.Mono
}

// removedAt returns when the kernel removed the entry of a DESTROY: its addresses and
// ports are free from then on.
func removedAt(e *conntrack.Event) int64 {
	if e.Stop <= 0 {
		return e.At.Mono
	}
	return toMono(e.Stop, e.At)
}

// reasonOf returns why an entry ended. What the kernel removes before its timeout
// was reset by the other side or replaced by a new connection if it is TCP;
// else it had to make room.
func reasonOf(e *conntrack.Event) (reason EndReason) {
	switch {
	case e.Portid != 0: // Linux 5.10 doesn't report the timeout as well
		reason = EndForced
	case isFinished(e.Orig.Proto, e.State):
		reason = EndDetected
	case !e.HasTimeout:
		reason = EndIdle
	case e.Orig.Proto == conntrack.ProtoTCP && isRefused(e):
		reason = EndDetected
	default:
		reason = EndForced
	}
	return reason
}

// unreportedReason returns why an entry ended whose end was not reported.
func unreportedReason(en *entry) EndReason {
	if isFinished(en.key.Orig.Proto, en.state) {
		return EndDetected
	}
	return EndIdle
}

// isRefused reports whether the only answer to a connection was a reset: the kernel
// removes it at once, still in its first state.
func isRefused(e *conntrack.Event) bool {
	return e.State <= conntrack.TCPSynSent && e.Counters[conntrack.Reply].Packets > 0
}

// isClosed reports whether both sides are done: only stragglers may follow.
func isClosed(proto, state uint8) bool {
	return proto == conntrack.ProtoTCP &&
		(state == conntrack.TCPTimeWait || state == conntrack.TCPClose)
}

// States from which on a side has finished.
const (
	sctpClosed          = 1 // enum sctp_conntrack: after SHUTDOWN COMPLETE or ABORT
	sctpShutdownSent    = 5
	sctpShutdownAckSent = 7
	dccpCloseReq        = 5 // enum ct_dccp_states
	dccpTimeWait        = 7
)

// isFinished reports whether at least one side has finished.
func isFinished(proto, state uint8) (finished bool) {
	switch proto {
	case conntrack.ProtoTCP:
		finished = conntrack.TCPFinWait <= state && state <= conntrack.TCPClose
	case conntrack.ProtoSCTP:
		finished = state == sctpClosed || sctpShutdownSent <= state && state <= sctpShutdownAckSent
	case conntrack.ProtoDCCP:
		finished = dccpCloseReq <= state && state <= dccpTimeWait
	}
	return finished
}

// toMono converts one of the kernel's timestamps, of the system clock, to the
// monotonic clock. It is never later than now.
func toMono(stamp int64, now conntrack.Timestamp) int64 {
	return min(now.Mono, now.Mono-(now.Wall-stamp))
}

// toWall converts a time of the monotonic clock to the system clock as it is set now.
func toWall(mono int64, now conntrack.Timestamp) int64 {
	return now.Wall - (now.Mono - mono)
}
