package export

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// TestReplace: one of two collectors stays, one goes and one comes, while records wait. Each gets
// the records of its time; the one that stays without a gap.
func TestReplace(t *testing.T) {
	for _, p := range protocols {
		clock := newFakeClock()
		at := map[string]*listener{"stays": listen4(t), "goes": listen4(t), "comes": listen4(t)}
		c := map[string]*Collector{}
		for name, l := range at {
			c[name] = opened(t, p, l, clock)
		}
		e := &Exporter{Collectors: []*Collector{c["goes"], c["stays"]}}
		written := 0
		e.Commit = func(now conntrack.Timestamp) { written++; e.Flush(now) }
		local := c["stays"].socket.local

		before, after := samples(clock.at.Wall), samples(clock.at.Wall+int64(time.Second))
		exportSamples(t, e, clock, before)
		sent := c["goes"].Stats.Messages.Load()
		e.Replace([]*Collector{c["stays"], c["comes"]}, clock.now())
		if c["goes"].Stats.Messages.Load() == sent || written == 0 {
			t.Errorf("%v: nothing was left to send: a case that says nothing", p)
		}
		if c["goes"].socket != nil {
			t.Errorf("%v: the socket of the one that goes is open", p)
		}
		exportSamples(t, e, clock, after)
		if now := c["stays"].socket.local; now != local {
			t.Errorf("%v: sends from %v, before from %v", p, now, local)
		}
		e.Close(clock.now())

		for name, want := range map[string][]flow.Record{
			"goes": before, "stays": append(before, after...), "comes": after,
		} {
			messages := at[name].receiveAll(t, c[name])
			// There is no gap in the sequence, either.
			sameFlows(t, flowsIn(t, messages), wantFlows(p, uint32(p), want))
		}
	}
}

// exportSamples exports records; the last ones still wait.
func exportSamples(t *testing.T, e *Exporter, clock *fakeClock, records []flow.Record) {
	t.Helper()
	for i := range records {
		exportAllNow(e, &records[i])
		if i == len(records)/2 {
			drive(t, e, clock, 2*time.Second)
		}
	}
}

// TestReplaceOwns proves that the connection of a closed socket still counts as the export's own:
// conntrack has it for a while.
func TestReplaceOwns(t *testing.T) {
	clock := newFakeClock()
	e := &Exporter{}
	var tuples []conntrack.Tuple
	for range closedMost + 3 {
		c := opened(t, IPFIX, listen4(t), clock)
		e.Replace([]*Collector{c}, clock.now())
		tuples = append(tuples, c.socket.tuple())
	}
	e.Replace(nil, clock.now())
	for i := range tuples {
		if got, want := e.Owns(&tuples[i]), i >= 3; got != want {
			t.Errorf("socket %d of %d: owned %v, want %v", i, len(tuples), got, want)
		}
	}
	other := tuples[len(tuples)-1]
	other.Proto = conntrack.ProtoTCP
	if e.Owns(&other) {
		t.Error("owns a TCP connection")
	}
}

// TestReplaceUnopened replaces a collector without a socket.
func TestReplaceUnopened(t *testing.T) {
	clock := newFakeClock()
	e := &Exporter{Collectors: []*Collector{NewCollector(CollectorConfig{
		Address: "192.0.2.1:2055", Protocol: IPFIX,
	}, clock.now)}}
	r := sample(0, present)
	exportAllNow(e, &r)
	e.Replace(nil, clock.now())
	if len(e.Collectors) != 0 || len(e.closed) != 0 {
		t.Errorf("%+v", e)
	}
}
