package export

import (
	"fmt"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/lab"
)

// TestReject exports through a firewall that rejects datagrams: the ICMP error of one is the error
// of the next send, which is repeated on the same socket.
func TestReject(t *testing.T) {
	cases := []struct{ server, with string }{
		{lab.ServerIPv4, "icmp type port-unreachable"},
		{lab.ServerIPv4, "icmp type admin-prohibited"},
		{lab.ServerIPv4, "icmp type host-prohibited"},
		{lab.ServerIPv4, "icmp type net-prohibited"},
		{lab.ServerIPv6, "icmpv6 type port-unreachable"},
		{lab.ServerIPv6, "icmpv6 type admin-prohibited"},
	}
	for _, tc := range cases {
		t.Run(tc.with, func(t *testing.T) {
			l, clock := newNarrow(t), newFakeClock()
			c, _ := l.collector(IPFIX, tc.server, clock)
			tool(t, l.Router, fmt.Sprintf(`table inet wall {
				chain forward { type filter hook forward priority 0; udp dport %d reject with %s; }
			}`, c.socket.remote.Port(), tc.with), "nft", "-f", "-")
			e := &Exporter{Collectors: []*Collector{c}}
			socket, sent := c.socket, uint64(0)
			for answered := range uint64(3) { // the kernel answers only so many a second
				for ; c.Stats.Refused.Load() <= answered && c.Stats.SendErrors.Load() == 0; sent++ {
					if sent > 1e5 {
						t.Fatalf("%d datagrams, refused %d", sent, c.Stats.Refused.Load())
					}
					r := sample(0, clock.at.Wall)
					exportAllNow(e, &r)
					e.Flush(clock.now())
				}
				drive(t, e, clock, dialInterval+time.Second)
			}
			if s := &c.Stats; s.SendErrors.Load() > 0 || s.Flows.Load() != sent ||
				c.socket != socket {
				t.Errorf("%d datagrams not sent, %d records of %d, another socket: %v",
					s.SendErrors.Load(), s.Flows.Load(), sent, c.socket != socket)
			}
		})
	}
}

// TestNoRoute proves that an error that comes again at once counts as one of this machine, and that
// another socket is opened.
func TestNoRoute(t *testing.T) {
	for name, route := range map[string]string{
		"none":        "route delete default",
		"unreachable": "route add unreachable " + lab.ServerIPv4,
		"prohibited":  "route add prohibit " + lab.ServerIPv4,
	} {
		t.Run(name, func(t *testing.T) {
			l, clock := newNarrow(t), newFakeClock()
			c, _ := l.collector(IPFIX, lab.ServerIPv4, clock)
			if err := l.Client.IP(route); err != nil {
				t.Fatal(err)
			}
			r := sample(0, clock.at.Wall)
			exportNow(c, &r)
			c.send(clock.now())
			if s := &c.Stats; s.SendErrors.Load() == 0 || s.LostFlows.Load() != 1 ||
				s.Refused.Load() != 0 || !c.broken {
				t.Errorf("%d errors, %d lost, %d refused, another socket is wanted: %v",
					s.SendErrors.Load(), s.LostFlows.Load(), s.Refused.Load(), c.broken)
			}
		})
	}
}
