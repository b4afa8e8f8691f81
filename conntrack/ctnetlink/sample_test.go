package ctnetlink_test

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
)

// tuple makes a tuple of two addresses of the same family.
func tuple(proto uint8, src string, srcPort uint16, dst string, dstPort uint16) conntrack.Tuple {
	a, b := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	t := conntrack.Tuple{
		Src: conntrack.AddrFrom(a), Dst: conntrack.AddrFrom(b),
		SrcPort: srcPort, DstPort: dstPort, Family: unix.AF_INET, Proto: proto,
	}
	if a.Is6() {
		t.Family = unix.AF_INET6
	}
	return t
}

// tcpEntry returns an entry like most: with NAT and all attributes.
func tcpEntry() conntrack.Event {
	return conntrack.Event{
		Type: conntrack.Dump, ID: 0xdf_dc_0e_7b, Mark: 7,
		Orig:    tuple(conntrack.ProtoTCP, "192.168.77.10", 40000, "198.51.100.20", 443),
		Reply:   tuple(conntrack.ProtoTCP, "198.51.100.20", 443, "198.51.100.1", 40000),
		Status:  conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed | conntrack.SrcNAT,
		Counted: true,
		Counters: [2]conntrack.Counters{
			{Packets: 2, Bytes: 112}, {Packets: 1 << 40, Bytes: 1 << 50},
		},
		Start: 1_700_000_000_123_456_789, Timeout: 431999, HasTimeout: true,
		State:    conntrack.TCPEstablished,
		TCPFlags: [2]conntrack.TCPFlags{0x23, 0x27},
	}
}

// plainEntry returns an entry of any protocol, without NAT.
func plainEntry(orig conntrack.Tuple) conntrack.Event {
	e := tcpEntry()
	e.Orig, e.Reply = orig, conntracktest.Inverse(orig)
	e.State, e.Mark, e.TCPFlags = 0, 0, [2]conntrack.TCPFlags{}
	e.Status &^= conntrack.SrcNAT
	return e
}

func with(e conntrack.Event, change func(*conntrack.Event)) conntrack.Event {
	change(&e)
	return e
}

// ended returns e as its end is reported.
func ended(e conntrack.Event) conntrack.Event {
	e.Type, e.HasTimeout, e.Timeout = conntrack.Destroy, false, 0
	e.TCPFlags = [2]conntrack.TCPFlags{}
	e.Status |= conntrack.Dying
	e.Stop = e.Start + 5_000_000_000
	return e
}
