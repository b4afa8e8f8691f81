package kernel

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

// ReadTimeouts reads the sysctls of the calling thread's network namespace. One
// that this kernel lacks stays unknown.
func ReadTimeouts() *conntrack.Timeouts {
	t := &conntrack.Timeouts{
		Generic: seconds("generic_timeout"), ICMP: seconds("icmp_timeout"),
		ICMPv6: seconds("icmpv6_timeout"),
		UDP:    seconds("udp_timeout"), UDPStream: seconds("udp_timeout_stream"),
		GRE: seconds("gre_timeout"), GREStream: seconds("gre_timeout_stream"),
		TCPUnacked: seconds("tcp_timeout_unacknowledged"),
		TCPRetrans: seconds("tcp_timeout_max_retrans"),
	}
	for state, name := range [...]string{
		conntrack.TCPSynSent: "syn_sent", conntrack.TCPSynRecv: "syn_recv",
		conntrack.TCPEstablished: "established", conntrack.TCPFinWait: "fin_wait",
		conntrack.TCPCloseWait: "close_wait", conntrack.TCPLastAck: "last_ack",
		conntrack.TCPTimeWait: "time_wait", conntrack.TCPClose: "close",
		conntrack.TCPSynSent2: "syn_sent",
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
