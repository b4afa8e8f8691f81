package export

import (
	"testing"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// readerAt decodes datagrams as a collector that starts with the first of them, and returns how
// many flows it can read.
func readerAt(t *testing.T, messages [][]byte) (flows, unknown int) {
	t.Helper()
	d := decode.New(decode.Options{})
	for _, b := range messages {
		m, _ := d.Decode(b, exporterAddress) // data without a template, at first
		flows += len(m.Flows)
		unknown += m.UnknownSets
	}
	return flows, unknown
}

// TestLateStart starts a collector after the exporter, which notices by refusals: the collector can
// read the records ten seconds later.
func TestLateStart(t *testing.T) {
	for _, p := range protocols {
		for _, late := range []time.Duration{7 * time.Second, 137 * time.Second} {
			clock, away := newFakeClock(), deserted(t)
			c := opened(t, p, away, clock)
			e := &Exporter{Collectors: []*Collector{c}}
			driveSlowly(t, e, clock, late, never)
			back := listen(t, away.address().String())
			records := driveSlowly(t, e, clock, time.Minute, never, back)
			flows, unknown := readerAt(t, back.messages)
			if missed := records - flows; missed > perSecond*int(retryInterval/time.Second+1) {
				t.Errorf("%s, %v late: %d of %d records could be read", p, late, flows, records)
			}
			t.Logf("%s, %v late: of %d records in the minute after the start %d could be read "+
				"(%d sets came before their template)",
				p, late, records, flows, unknown)
		}
	}
}

// TestRestart restarts a collector at any time, which the exporter can't notice: the collector can
// read the records a template interval later.
func TestRestart(t *testing.T) {
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c := opened(t, p, l, clock)
		e := &Exporter{Collectors: []*Collector{c}}
		records := driveSlowly(t, e, clock, 3*time.Minute, never, l)
		messages := l.receiveAll(t, c)
		worst := 0
		for from := range messages[:len(messages)/3] {
			flows, _ := readerAt(t, messages[from:])
			after := records - len(flowsIn(t, messages[:from]))
			worst = max(worst, after-flows)
		}
		if worst > perSecond*int((DefaultTemplateInterval+messageDelay)/time.Second) {
			t.Errorf("%s: %d records in a row could not be read", p, worst)
		}
		t.Logf("%s: at worst %d seconds could not be read", p, worst/perSecond)
	}
}

// TestDeadCollectorsDoNotDelayOthers: two collectors miss nothing and wait for nothing while a
// third refuses, a fourth has no address and the name of a fifth gets no answer.
func TestDeadCollectorsDoNotDelayOthers(t *testing.T) {
	dns, clock := useFakeDNS(t), newFakeClock()
	dns.block = make(chan struct{})
	t.Cleanup(func() { close(dns.block) })
	live := map[Protocol]*listener{}
	e := &Exporter{Collectors: []*Collector{
		opened(t, IPFIX, deserted(t), clock),
		NewCollector(CollectorConfig{
			Address: "192.0.2.1:2055", Protocol: IPFIX, Source: exporterAddress.Addr(),
		}, clock.now),
		NewCollector(CollectorConfig{Address: "collector.test:2055", Protocol: NetFlow9},
			clock.now),
	}}
	for _, p := range protocols {
		live[p] = listen4(t)
		e.Collectors = append(e.Collectors, opened(t, p, live[p], clock))
	}
	records := 0
	for range 300 {
		for _, r := range samples(clock.at.Wall) {
			exportAllNow(e, &r)
			records++
		}
		drive(t, e, clock, time.Second)
		for _, c := range e.Collectors[3:] {
			live[c.Config.Protocol].receiveAll(t, c)
		}
	}
	e.Close(clock.now())
	for _, c := range e.Collectors[3:] {
		flows := flowsIn(t, live[c.Config.Protocol].receiveAll(t, c))
		if len(flows) != records || c.Stats.Dropped.Load() != 0 {
			t.Errorf("%s: %d records of %d", c.Config.Protocol, len(flows), records)
		}
	}
	if s := &e.Collectors[0].Stats; s.Refused.Load() == 0 {
		t.Error("the dead one refused nothing")
	}
	for _, c := range e.Collectors[1:3] {
		if n := c.Stats.Dropped.Load(); n != uint64(records) {
			t.Errorf("%s: %d unsent of %d", c.Config.Address, n, records)
		}
	}
}
