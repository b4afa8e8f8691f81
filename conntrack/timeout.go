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

// ReadTimeouts reads the sysctls of the calling thread's network namespace. One
// that this kernel lacks stays unknown.
func ReadTimeouts() *Timeouts {
	t := &Timeouts{
		Generic: seconds("generic_timeout"), ICMP: seconds("icmp_timeout"), ICMPv6: seconds("icmpv6_timeout"),
		UDP: seconds("udp_timeout"), UDPStream: seconds("udp_timeout_stream"),
		GRE: seconds("gre_timeout"), GREStream: seconds("gre_timeout_stream"),
		TCPUnacked: seconds("tcp_timeout_unacknowledged"), TCPRetrans: seconds("tcp_timeout_max_retrans"),
	}
	for state, name := range [...]string{
		TCPSynSent: "syn_sent", TCPSynRecv: "syn_recv", TCPEstablished: "established", TCPFinWait: "fin_wait",
		TCPCloseWait: "close_wait", TCPLastAck: "last_ack", TCPTimeWait: "time_wait", TCPClose: "close",
		TCPSynSent2: "syn_sent",
	} {
		t.TCP[state] = seconds("tcp_timeout_" + name)
	}
	for state, name := range [...]string{
		1: "closed", 2: "cookie_wait", 3: "cookie_echoed", 4: "established", 5: "shutdown_sent",
		6: "shutdown_recd", 7: "shutdown_ack_sent", 8: "heartbeat_sent",
	} {
		t.SCTP[state] = seconds("sctp_timeout_" + name)
	}
	return t
}

func seconds(name string) time.Duration {
	n, err := ReadSysctl(name)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// Of returns the timeouts that may be in force for e, the likeliest first, 0 for
// those that are not: TCP shortens its own while data is unacknowledged or
// retransmitted, which a DESTROY event doesn't tell.
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

// LastPacket returns when e's last packet passed, in nanoseconds of the monotonic
// clock, as far as the entry's timer tells. The kernel gives what is left of the timer
// in whole seconds rounded down: the answer is the middle of the second that is
// possible, so that it is off by half of one at most. A timer set by a rule of the
// administrator's misleads: so an answer outside of (after, e.At] is passed over, and
// ok is false when none is left.
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

// at indexes by a state that came from outside.
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
