package flow

import "github.com/conntally/conntally/conntrack"

// TCP flags (tcpControlBits, element 6).
const (
	tcpFIN = 0x01
	tcpSYN = 0x02
	tcpRST = 0x04
	tcpACK = 0x10
)

// tcpFlags derives what flags a direction must have carried from the state that
// the kernel tracked: it doesn't keep the flags themselves. SYN stands in the
// first record only, and not in that of a connection whose beginning was not seen. FIN and RST stand in both directions, since the state doesn't
// tell whose it was.
func tcpFlags(en *entry, d conntrack.Direction) (flags uint8) {
	if !en.begun && !en.midstream {
		flags = tcpSYN
	}
	switch en.state {
	case 0: // offloaded
		return tcpACK
	case conntrack.TCPSynSent, conntrack.TCPSynSent2:
		if d == conntrack.Reply { // the only answer that keeps this state
			return tcpRST | tcpACK
		}
		return flags
	case conntrack.TCPSynRecv:
		if d == conntrack.Reply {
			flags |= tcpACK
		}
		return flags
	case conntrack.TCPFinWait, conntrack.TCPCloseWait, conntrack.TCPLastAck, conntrack.TCPTimeWait:
		return flags | tcpACK | tcpFIN
	case conntrack.TCPClose:
		return flags | tcpACK | tcpRST
	}
	return flags | tcpACK
}
