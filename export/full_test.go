package export

import (
	"fmt"
	"testing"
	"time"

	"github.com/conntally/conntally/flow"
)

// TestEachRecordIsSentOrCounted: templates, or new interfaces, become due while a message fills up.
// However many interfaces there are, and so however full their last message is, each record is sent
// or counted as dropped.
func TestEachRecordIsSentOrCounted(t *testing.T) {
	ways := []struct {
		name     string
		protocol Protocol
		optional RecordOptions
		put      func(*Exporter, *fakeClock)
	}{
		{"records", IPFIX, RecordOptions{}, putRecord},
		{"records", NetFlow9, RecordOptions{}, putRecord},
		{"pairs", IPFIX, RecordOptions{Biflow: true}, putPair},
		{"translations", IPFIX, RecordOptions{NATEvents: true}, putTranslation},
		{"translations", NetFlow9, RecordOptions{NATEvents: true}, putTranslation},
	}
	for _, way := range ways {
		for _, limit := range []int{minMessage, 1232, DefaultMessageSize} {
			t.Run(fmt.Sprint(way.name, " ", way.protocol, " ", limit), func(t *testing.T) {
				for n := range 30 {
					target := CollectorConfig{
						Protocol: way.protocol, MaxDatagram: limit, RecordOptions: way.optional,
					}
					if got := sentOrLost(t, target, n, way.put); got != 201 {
						t.Errorf("%d interfaces: %d sent or lost of 201", n, got)
					}
				}
			})
		}
	}
}

// sentOrLost exports 201 records. Templates become due after the first one, and n new interfaces
// after some messages.
func sentOrLost(
	t *testing.T, target CollectorConfig, n int, put func(*Exporter, *fakeClock),
) uint64 {
	t.Helper()
	clock, l, links := newFakeClock(), listen4(t), &fakeInterfaces{}
	defer l.Close()
	target.Address = l.address().String()
	c := NewCollector(target, clock.now)
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := &Exporter{Collectors: []*Collector{c}, Interfaces: links}
	defer e.Close(clock.now())
	links.set(numbered(3, n))
	e.Tick(t.Context(), clock.now())

	clock.advance(DefaultTemplateInterval - time.Millisecond)
	put(e, clock)
	clock.advance(2 * time.Millisecond)
	for range 100 {
		put(e, clock)
	}
	links.set(numbered(100, n))
	e.updateInterfaces()
	for range 100 {
		put(e, clock)
	}
	e.Flush(clock.now())
	return c.Stats.Flows.Load() + c.Stats.LostFlows.Load()
}

func putRecord(e *Exporter, clock *fakeClock) {
	r := sample(0, clock.at.Wall)
	exportAllNow(e, &r)
}

func putPair(e *Exporter, clock *fakeClock) {
	both := flow.Pair{sample(0, clock.at.Wall), sample(0, clock.at.Wall)}
	both[0].At, both[1].At = clock.now(), clock.now()
	e.Export(&both)
}

func putTranslation(e *Exporter, clock *fakeClock) {
	r := sample(translatedBit, clock.at.Wall)
	r.NAT = flow.NATCreate
	exportAllNow(e, &r)
}
