package flow

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

// stepTolerance is by how much the clocks may drift apart without a step.
const stepTolerance = int64(time.Second)

// lateFor is how long the kernel may take to repeat an end, from the moment on at
// which there is room: it tries each 10 ms (ECACHE_RETRY_JIFFIES).
const lateFor = int64(5 * time.Second)

// timerDoubt is by how much a packet may have passed before or after what CTA_TIMEOUT
// tells: its resolution is a second.
const timerDoubt = int64(time.Second / 2)

// timerSlack is by how much an entry's timer, which counts ticks and is set before
// the start is stamped, may differ from the stamps.
const timerSlack = int64(time.Second)

// toMono brings one of the kernel's time stamps, of the system clock, to the
// monotonic clock. It is never later than now.
func toMono(stamp int64, now conntrack.Timestamp) int64 {
	return min(now.Mono, now.Mono-(now.Wall-stamp))
}

// toWall brings a moment of the monotonic clock to the system clock as it
// stands now.
func toWall(mono int64, now conntrack.Timestamp) int64 {
	return now.Wall - (now.Mono - mono)
}

// startOf returns when an entry began that is met now, which is now for one that can't
// tell. It began since the last dump: if the system clock was set since, its stamp
// may be of the clock as it stood before.
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

// endOf returns when the last packet of an entry passed that has ended. Stop is
// the instant of its expiry, which is its last timeout after the last packet,
// or the instant at which it was removed.
func (t *Table) endOf(en *entry, e *conntrack.Event, moved bool) int64 {
	// The last packet came after the counters were last read if they moved
	// since, and before that if they didn't.
	earliest, latest := en.begin, en.seen
	if moved {
		earliest, latest = max(en.begin, en.seen), e.At.Mono
	}
	if e.Stop <= 0 {
		return max(earliest, en.moved)
	}
	stop := toMono(e.Stop, e.At)
	if e.HasTimeout {
		return t.removedAt(e, max(earliest, stop), earliest)
	}
	for _, timeout := range t.timeouts.Of(e) {
		end := stop - int64(timeout)
		if timeout != 0 && earliest-timerSlack <= end && end <= latest+timerSlack {
			return min(max(end, earliest), latest)
		}
	}
	// No timeout that we know of explains when it expired.
	if moved {
		return max(earliest, stop)
	}
	return en.moved
}

// removedAt returns when the last packet of an entry passed that was removed
// before its time. Deletion by hand ends a flow; what the kernel itself removed
// has a timer that tells.
func (t *Table) removedAt(e *conntrack.Event, stop, earliest int64) int64 {
	if e.Portid != 0 {
		return stop
	}
	if last, ok := t.timeouts.LastPacket(e, earliest); ok {
		return min(last, stop)
	}
	return stop
}

// reasonOf returns why an entry ended. What the kernel removes before its time
// was reset by the other side or replaced by a new connection if it is TCP;
// else it had to make room.
func reasonOf(e *conntrack.Event) EndReason {
	switch {
	case e.Portid != 0: // Linux 5.10 doesn't tell the timeout as well
		return EndForced
	case finished(e.Orig.Proto, e.State):
		return EndDetected
	case !e.HasTimeout:
		return EndIdle
	case e.Orig.Proto == conntrack.ProtoTCP && refused(e):
		return EndDetected
	default:
		return EndForced
	}
}

// refused tells a connection whose only answer was a reset: the kernel drops it
// at once, still in its first state.
func refused(e *conntrack.Event) bool {
	return e.State <= conntrack.TCPSynSent && e.Counters[conntrack.Reply].Packets > 0
}

// restReason says why an entry ended whose end nobody reported.
func restReason(en *entry) EndReason {
	if finished(en.key.Orig.Proto, en.state) {
		return EndDetected
	}
	return EndIdle
}

// closed tells whether both sides are done: only stragglers may follow.
func closed(proto, state uint8) bool {
	return proto == conntrack.ProtoTCP && (state == conntrack.TCPTimeWait || state == conntrack.TCPClose)
}

// States from which on a side has said that it is done.
const (
	sctpClosed          = 1 // enum sctp_conntrack: after SHUTDOWN COMPLETE or ABORT
	sctpShutdownSent    = 5
	sctpShutdownAckSent = 7
	dccpCloseReq        = 5 // enum ct_dccp_states
	dccpTimeWait        = 7
)

// finished tells whether at least one side has said that it is done.
func finished(proto, state uint8) bool {
	switch proto {
	case conntrack.ProtoTCP:
		return conntrack.TCPFinWait <= state && state <= conntrack.TCPClose
	case conntrack.ProtoSCTP:
		return state == sctpClosed || sctpShutdownSent <= state && state <= sctpShutdownAckSent
	case conntrack.ProtoDCCP:
		return dccpCloseReq <= state && state <= dccpTimeWait
	}
	return false
}
