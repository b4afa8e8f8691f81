package export

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// await lets other goroutines work until done.
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

// TestUnknownName dials in the background until the name is known. Meanwhile
// records are counted, not kept.
func TestUnknownName(t *testing.T) {
	dns, clock, l := useFakeDNS(t), newFakeClock(), listen4(t)
	c := NewCollector(Target{Address: fmt.Sprintf("collector.test:%d", l.address().Port()), Protocol: IPFIX}, clock.now)
	e := &Exporter{Collectors: []*Collector{c}}
	if err := c.Open(t.Context()); err == nil {
		t.Fatal("an unknown name could be opened")
	}
	r := sample(0, present)
	for range 3 {
		exportAllNow(e, &r)
	}
	if n := c.Stats.Unsent.Load(); n != 3 {
		t.Errorf("%d unsent of 3", n)
	}
	dials := uint64(time.Minute / dialInterval)
	if ticks := drive(t, e, clock, time.Minute); ticks != 60 {
		t.Errorf("%d ticks in a minute without a socket", ticks)
	}
	await(t, func() bool { return c.Stats.DialErrors.Load() >= dials })
	if n := c.Stats.DialErrors.Load(); n != dials {
		t.Errorf("%d dials in a minute, want %d", n, dials)
	}

	dns.known.Store(true)
	drive(t, e, clock, time.Second)
	await(t, func() bool { return len(c.dialed) == 1 })
	drive(t, e, clock, dialLook)
	if b, _ := l.receive(t); !hasTemplates(t, IPFIX, b) {
		t.Errorf("sets %v, want templates at once", setIDs(t, b))
	}
	exportAllNow(e, &r)
	e.Close(clock.now())
	if flows := flowsIn(t, l.receiveAll(t, c)); len(flows) != 1 || c.Stats.Unsent.Load() != 3 {
		t.Errorf("%d flows, %d unsent", len(flows), c.Stats.Unsent.Load())
	}
}

// TestSlowName checks that nothing waits for a name server.
func TestSlowName(t *testing.T) {
	dns, clock := useFakeDNS(t), newFakeClock()
	dns.block = make(chan struct{})
	c := NewCollector(Target{Address: "collector.test:2055", Protocol: IPFIX}, clock.now)
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
