package conntrack

import "time"

// Timeouts holds how long the kernel keeps an entry after a packet, by protocol
// and state. The zero value knows none.
type Timeouts struct {
	Generic, ICMP, ICMPv6  time.Duration
	UDP, UDPStream         time.Duration
	GRE, GREStream         time.Duration
	TCP                    [10]time.Duration // by enum tcp_conntrack
	SCTP                   [9]time.Duration  // by enum sctp_conntrack
	TCPUnacked, TCPRetrans time.Duration
}

// Of returns the timeouts that e may have, the most likely first; unused ones are 0. TCP has
// shorter ones while data is unacknowledged or retransmitted, which a DESTROY event doesn't report.
func (t *Timeouts) Of(e *Event) [3]time.Duration {
	stream := e.Status&Assured != 0
	switch e.Orig.Proto {
	case ProtoTCP:
		return [3]time.Duration{at(t.TCP[:], e.State), t.TCPUnacked, t.TCPRetrans}
	case ProtoUDP, ProtoUDPLite:
		return [3]time.Duration{choose(stream, t.UDPStream, t.UDP)}
	case ProtoICMP:
		return [3]time.Duration{t.ICMP}
	case ProtoICMPv6:
		return [3]time.Duration{t.ICMPv6}
	case ProtoGRE:
		return [3]time.Duration{choose(stream, t.GREStream, t.GRE)}
	case ProtoSCTP:
		return [3]time.Duration{at(t.SCTP[:], e.State)}
	case ProtoDCCP:
		return [3]time.Duration{}
	default:
		return [3]time.Duration{t.Generic}
	}
}

// LastPacket returns when e's last packet passed, in nanoseconds of the monotonic clock, computed
// from the entry's timer. The kernel reports the rest of the timer in whole seconds rounded down,
// so the result is the middle of the possible second, and at most half a second off. A rule of the
// administrator may have set another timer: a result outside of (after, e.At] is discarded, and ok
// is false if none is left.
func (t *Timeouts) LastPacket(e *Event, after int64) (at int64, ok bool) {
	if !e.HasTimeout {
		return 0, false
	}
	for _, timeout := range t.Of(e) {
		age := timeout - time.Duration(e.Timeout)*time.Second
		if timeout == 0 || age < 0 {
			continue
		}
		earliest, latest := e.At.Mono-int64(age), e.At.Mono-int64(max(age-time.Second, 0))
		if latest > after {
			earliest = max(earliest, after)
			return earliest + (latest-earliest+1)/2, true
		}
	}
	return 0, false
}

// at returns the timeout of a state, which may be out of range.
func at(timeouts []time.Duration, state uint8) time.Duration {
	if int(state) >= len(timeouts) {
		return 0
	}
	return timeouts[state]
}

func choose(first bool, a, b time.Duration) time.Duration {
	if first {
		return a
	}
	return b
}
