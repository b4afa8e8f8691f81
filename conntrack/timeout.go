package conntrack

import "time"

// Timeouts holds how long the kernel keeps an entry after a packet, by protocol
// and state. The zero value knows none.
type Timeouts struct {
	generic, icmp, icmpv6  time.Duration
	udp, udpStream         time.Duration
	gre, greStream         time.Duration
	tcp                    [10]time.Duration // by enum tcp_conntrack
	sctp                   [9]time.Duration  // by enum sctp_conntrack
	tcpUnacked, tcpRetrans time.Duration
}

// ReadTimeouts reads the sysctls of the calling thread's network namespace. One
// that this kernel lacks stays unknown.
func ReadTimeouts() *Timeouts {
	t := &Timeouts{
		generic: seconds("generic_timeout"), icmp: seconds("icmp_timeout"), icmpv6: seconds("icmpv6_timeout"),
		udp: seconds("udp_timeout"), udpStream: seconds("udp_timeout_stream"),
		gre: seconds("gre_timeout"), greStream: seconds("gre_timeout_stream"),
		tcpUnacked: seconds("tcp_timeout_unacknowledged"), tcpRetrans: seconds("tcp_timeout_max_retrans"),
	}
	for state, name := range [...]string{
		TCPSynSent: "syn_sent", TCPSynRecv: "syn_recv", TCPEstablished: "established", TCPFinWait: "fin_wait",
		TCPCloseWait: "close_wait", TCPLastAck: "last_ack", TCPTimeWait: "time_wait", TCPClose: "close",
		TCPSynSent2: "syn_sent",
	} {
		t.tcp[state] = seconds("tcp_timeout_" + name)
	}
	for state, name := range [...]string{
		1: "closed", 2: "cookie_wait", 3: "cookie_echoed", 4: "established", 5: "shutdown_sent",
		6: "shutdown_recd", 7: "shutdown_ack_sent", 8: "heartbeat_sent",
	} {
		t.sctp[state] = seconds("sctp_timeout_" + name)
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
		return [3]time.Duration{at(t.tcp[:], e.State), t.tcpUnacked, t.tcpRetrans}
	case ProtoUDP, ProtoUDPLite:
		return [3]time.Duration{choose(stream, t.udpStream, t.udp)}
	case ProtoICMP:
		return [3]time.Duration{t.icmp}
	case ProtoICMPv6:
		return [3]time.Duration{t.icmpv6}
	case ProtoGRE:
		return [3]time.Duration{choose(stream, t.greStream, t.gre)}
	case ProtoSCTP:
		return [3]time.Duration{at(t.sctp[:], e.State)}
	case ProtoDCCP:
		return [3]time.Duration{}
	default:
		return [3]time.Duration{t.generic}
	}
}

// LastPacket returns when e's last packet passed, in nanoseconds of the monotonic
// clock, as far as the entry's timer tells: its upper bound. The kernel gives what
// is left of the timer in whole seconds rounded down, and a timer set by a
// rule of the administrator's misleads: so an answer outside of (after, e.At] is
// passed over, and ok is false when none is left.
func (t *Timeouts) LastPacket(e *Event, after int64) (at int64, ok bool) {
	if !e.HasTimeout {
		return 0, false
	}
	for _, timeout := range t.Of(e) {
		age := timeout - time.Duration(e.Timeout)*time.Second
		if timeout == 0 || age < 0 {
			continue
		}
		if at := e.At.Mono - int64(max(age-time.Second, 0)); at > after {
			return at, true
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
