package export

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

// await waits until done returns true.
func await(t testing.TB, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // only against hanging
	defer cancel()
	for !done() {
		if ctx.Err() != nil {
			t.Fatal("in vain")
		}
		runtime.Gosched()
	}
}

// awaitSearch lets a search under way end. drive may have seen its end already.
func awaitSearch(t testing.TB, c *Collector) {
	t.Helper()
	await(t, func() bool { return !c.redialer.dialing || len(c.redialer.results) == 1 })
}

// TestUnknownName proves that a collector dials in the background until its name is known, and that
// records are dropped and counted meanwhile.
func TestUnknownName(t *testing.T) {
	dns, clock, l := useFakeDNS(t), newFakeClock(), listen4(t)
	c := NewCollector(CollectorConfig{
		Address: fmt.Sprintf("collector.test:%d", l.address().Port()), Protocol: IPFIX,
	}, clock.now)
	e := &Exporter{Collectors: []*Collector{c}}
	if err := c.Open(t.Context()); err == nil {
		t.Fatal("an unknown name could be opened")
	}
	r := sample(0, present)
	for range 3 {
		exportAllNow(e, &r)
	}
	if n := c.Stats.Dropped.Load(); n != 3 {
		t.Errorf("%d unsent of 3", n)
	}
	for dials := range 6 {
		if ticks := drive(t, e, clock, dialInterval); ticks > 12 {
			t.Errorf("%d ticks in %v without a socket", ticks, dialInterval)
		}
		awaitSearch(t, c)
		if n := c.Stats.DialErrors.Load(); n != uint64(dials+1) {
			t.Errorf("%d dials in %d times %v", n, dials+1, dialInterval)
		}
	}

	dns.point("127.0.0.1")
	drive(t, e, clock, dialInterval)
	awaitSearch(t, c)
	drive(t, e, clock, resultInterval)
	if b, _ := l.receive(t); !hasTemplates(t, IPFIX, b) {
		t.Errorf("sets %v, want templates at once", setIDs(t, b))
	}
	exportAllNow(e, &r)
	e.Close(clock.now())
	if flows := flowsIn(t, l.receiveAll(t, c)); len(flows) != 1 || c.Stats.Dropped.Load() != 3 {
		t.Errorf("%d flows, %d unsent", len(flows), c.Stats.Dropped.Load())
	}
}

// TestSlowName proves that nothing waits for a name server.
func TestSlowName(t *testing.T) {
	dns, clock := useFakeDNS(t), newFakeClock()
	dns.block = make(chan struct{})
	c := NewCollector(CollectorConfig{Address: "collector.test:2055", Protocol: IPFIX}, clock.now)
	e := &Exporter{Collectors: []*Collector{c}}
	drive(t, e, clock, dialInterval)
	if n := c.Stats.DialErrors.Load(); n != 0 {
		t.Errorf("%d errors, though nobody has answered", n)
	}
	close(dns.block)
	await(t, func() bool { return c.Stats.DialErrors.Load() == 1 })
}

func TestParseProtocol(t *testing.T) {
	for _, p := range protocols {
		if got, err := ParseProtocol(p.String()); got != p || err != nil {
			t.Errorf("%s is read as %v, %v", p, got, err)
		}
	}
	for _, s := range []string{"", "IPFIX", "netflow5", "10"} {
		if _, err := ParseProtocol(s); err == nil {
			t.Errorf("%q is a protocol", s)
		}
	}
}

// TestZone proves that a socket to a link-local address stays in use: its address has no zone.
func TestZone(t *testing.T) {
	target := CollectorConfig{Address: "[fe80::1%lo]:2055"}
	for inUse, stays := range map[string]bool{
		"[fe80::1]:2055": true, "[fe80::1]:2056": false, "[fe80::2]:2055": false,
	} {
		conn, err := target.dial(t.Context(), netip.MustParseAddrPort(inUse), false)
		if conn != nil {
			conn.Close()
		}
		if got := conn == nil && err == nil; got != stays {
			t.Errorf("%s stays: %v, want %v: %v", inUse, got, stays, err)
		}
	}
}
