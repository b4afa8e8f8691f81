package export

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// named returns a collector whose address is a name, at the port of l.
func named(t *testing.T, p Protocol, l *listener, clock *fakeClock) *Collector {
	t.Helper()
	c := NewCollector(CollectorConfig{
		Address: fmt.Sprintf("collector.test:%d", l.address().Port()), Protocol: p,
	}, clock.now)
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(clock.now()) })
	return c
}

// perSecond is enough records for messages that are put on trial.
const perSecond = 35

// driveSlowly exports perSecond records each second for d, waits for dials to end and lets
// collectors receive. It stops as soon as stop returns true, and returns the number of records.
func driveSlowly(t *testing.T, e *Exporter, clock *fakeClock, d time.Duration, stop func() bool,
	far ...*listener) (records int) {
	t.Helper()
	for end := clock.at.Mono + int64(d); clock.at.Mono < end && !stop(); records += perSecond {
		for range perSecond {
			r := sample(0, clock.at.Wall)
			exportAllNow(e, &r)
		}
		drive(t, e, clock, time.Second)
		for _, c := range e.Collectors {
			awaitSearch(t, c)
		}
		for _, l := range far {
			l.drain(t)
		}
	}
	return records
}

func never() bool { return false }

// beside returns a listener on a second address, at the port of l.
func beside(t *testing.T, l *listener, address string) *listener {
	t.Helper()
	return listen(t, netip.AddrPortFrom(netip.MustParseAddr(address), l.address().Port()).String())
}

// TestMovedName: the name of a collector gets another address, and the old one accepts everything
// silently. The new address can read the records within a template interval, and another collector
// misses none.
func TestMovedName(t *testing.T) {
	for _, p := range protocols {
		for _, old := range []string{"silent", "refusing"} {
			t.Run(p.String()+"/"+old, func(t *testing.T) {
				dns, clock := useFakeDNS(t), newFakeClock()
				before := listen(t, "127.0.0.2:0")
				after, other := beside(t, before, "127.0.0.3"), listen4(t)
				dns.point("127.0.0.2")
				c := named(t, p, before, clock)
				e := &Exporter{Collectors: []*Collector{c, opened(t, NetFlow9, other, clock)}}
				records := driveSlowly(t, e, clock, 3*time.Minute, never, before, other)

				dns.point("127.0.0.3")
				if old == "refusing" {
					before.Close()
				}
				moved := clock.at.Mono
				records += driveSlowly(t, e, clock, time.Hour,
					func() bool { return c.socket.remote == after.address() }, after, other)
				if took := time.Duration(clock.at.Mono - moved); took > DefaultTemplateInterval {
					t.Errorf("found the new address after %v", took)
				}
				sent := c.Stats.Messages.Load()
				records += driveSlowly(t, e, clock, time.Minute, never, after, other)
				for uint64(len(after.messages)) < c.Stats.Messages.Load()-sent {
					after.receive(t)
				}
				if !hasTemplates(t, p, after.messages[0]) ||
					len(flowsIn(t, after.messages)) < 59*perSecond {
					t.Errorf("%d flows, the first datagram has sets %v",
						len(flowsIn(t, after.messages)), setIDs(t, after.messages[0]))
				}
				e.Close(clock.now())
				if n := len(flowsIn(t, other.receiveAll(t, e.Collectors[1]))); n != records {
					t.Errorf("the other collector has %d records of %d", n, records)
				}
			})
		}
	}
}

// TestNameStays proves that a socket is kept as long as the name has its address, or can't be
// resolved.
func TestNameStays(t *testing.T) {
	for name, addresses := range map[string][]string{
		"the same": {"127.0.0.2"}, "one of two": {"127.0.0.3", "127.0.0.2"}, "nobody knows": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dns, clock := useFakeDNS(t), newFakeClock()
			l := listen(t, "127.0.0.2:0")
			dns.point("127.0.0.2")
			c := named(t, IPFIX, l, clock)
			e := &Exporter{Collectors: []*Collector{c}}
			if dns.point(addresses...); addresses == nil {
				dns.addresses.Store(nil)
			}
			local := c.socket.local
			records := driveSlowly(t, e, clock, 5*time.Minute, never, l)
			if c.socket.local != local {
				t.Errorf("sends from %v, then from %v", local, c.socket.local)
			}
			if errs := c.Stats.DialErrors.Load(); (errs > 0) != (addresses == nil) || errs > 6 {
				t.Errorf("%d failures", errs)
			}
			e.Close(clock.now())
			if n := len(flowsIn(t, l.receiveAll(t, c))); n != records {
				t.Errorf("%d records of %d", n, records)
			}
		})
	}
}

// TestLastingRefusal proves that an address that keeps refusing is left, if the name has another.
func TestLastingRefusal(t *testing.T) {
	dns, clock := useFakeDNS(t), newFakeClock()
	away := listen(t, "127.0.0.2:0")
	dns.point("127.0.0.2")
	c := named(t, IPFIX, away, clock)
	e := &Exporter{Collectors: []*Collector{c}}
	alive := beside(t, away, "127.0.0.3")
	away.Close()

	driveSlowly(t, e, clock, 5*time.Minute, never)
	if c.socket.remote.Addr() != netip.MustParseAddr("127.0.0.2") || c.Stats.Refused.Load() == 0 {
		t.Fatalf("sends to %v, refused %d times", c.socket.remote, c.Stats.Refused.Load())
	}
	dns.point("127.0.0.2", "127.0.0.3")
	begin := clock.at.Mono
	driveSlowly(t, e, clock, time.Hour, func() bool { return c.socket.remote == alive.address() })
	if took := time.Duration(clock.at.Mono - begin); took > DefaultTemplateInterval {
		t.Errorf("the other address was tried after %v", took)
	}
	sent := c.Stats.Refused.Load()
	driveSlowly(t, e, clock, 5*time.Minute, never)
	if c.socket.remote != alive.address() || c.Stats.Refused.Load() != sent {
		t.Errorf("sends to %v, %d refusals more", c.socket.remote, c.Stats.Refused.Load()-sent)
	}
}

// TestSource proves that datagrams come from the configured source.
func TestSource(t *testing.T) {
	cases := []struct{ at, source, fails string }{
		{"127.0.0.1:0", "127.0.0.9", ""},
		{"[::1]:0", "::1", ""},
		{"127.0.0.1:0", "::1", "no address of the family"},
		{"127.0.0.1:0", "192.0.2.1", "cannot assign"},
	}
	for _, tc := range cases {
		t.Run(tc.at+" from "+tc.source, func(t *testing.T) {
			clock, l := newFakeClock(), listen(t, tc.at)
			source := netip.MustParseAddr(tc.source)
			c := NewCollector(CollectorConfig{
				Address: l.address().String(), Protocol: IPFIX, Source: source,
			}, clock.now)
			err := c.Open(t.Context())
			if tc.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tc.fails) {
					t.Errorf("%v, want %q", err, tc.fails)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.tick(t.Context(), clock.now())
			if _, from := l.receive(t); from.Addr() != source {
				t.Errorf("from %v", from)
			}
			c.Close(clock.now())
		})
	}
}

// TestOwnsFormer proves that the connections of closed sockets are still known: the kernel tracks
// them for a while.
func TestOwnsFormer(t *testing.T) {
	clock, l := newFakeClock(), listen4(t)
	c := opened(t, IPFIX, l, clock)
	e := &Exporter{Collectors: []*Collector{c}}
	var all []conntrack.Tuple
	for range 3 {
		all = append(all, c.socket.tuple())
		c.broken = true
		drive(t, e, clock, 2*dialInterval)
		awaitSearch(t, c)
		drive(t, e, clock, 2*resultInterval)
	}
	all = append(all, c.socket.tuple())
	for _, collectors := range [][]*Collector{{c}, nil} {
		e.Replace(collectors, clock.now())
		for i := range all {
			if !e.Owns(&all[i]) {
				t.Errorf("%d collectors: socket %d, %+v, isn't its own", len(collectors), i, all[i])
			}
			if slices.Index(all, all[i]) != i {
				t.Errorf("socket %d is one before: a case that says nothing", i)
			}
		}
	}
}

// tuple returns the connection between two addresses, as conntrack has it.
func (e *addressPair) tuple() conntrack.Tuple {
	return conntrack.Tuple{
		Src: conntrack.AddrFrom(e.local.Addr()), SrcPort: e.local.Port(), Proto: conntrack.ProtoUDP,
		Dst: conntrack.AddrFrom(e.remote.Addr()), DstPort: e.remote.Port(),
	}
}

// TestOwnedBefore: a connection of a previous run differs only in its source port.
func TestOwnedBefore(t *testing.T) {
	clock := newFakeClock()
	e := &Exporter{Collectors: []*Collector{
		// has no socket
		NewCollector(CollectorConfig{Address: "192.0.2.1:2055", Protocol: IPFIX}, clock.now),
		opened(t, NetFlow9, listen4(t), clock), opened(t, IPFIX, listen(t, "[::1]:0"), clock),
	}}
	for _, c := range e.Collectors[1:] {
		before := c.socket.tuple()
		for name, stranger := range strangers(before) {
			if got, want := e.OwnedBefore(&stranger), name == "another source port"; got != want {
				t.Errorf("%v, %s: %v, want %v", c.Config.Protocol, name, got, want)
			}
		}
		if !e.OwnedBefore(&before) {
			t.Errorf("%+v is no connection of a previous run", before)
		}
		defer func() {
			if e.Replace(nil, clock.now()); !e.OwnedBefore(&before) {
				t.Errorf("without its collector, %+v is no connection of a previous run", before)
			}
		}()
	}
}
