package export

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/flow"
)

// TestFirstDatagram proves that templates come first, then the records.
func TestFirstDatagram(t *testing.T) {
	for _, p := range protocols {
		for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
			t.Run(p.String()+" "+at, func(t *testing.T) {
				clock, l := newFakeClock(), listen(t, at)
				c := opened(t, p, l, clock)
				local, records := c.socket.local, samples(clock.at.Wall)
				for i := range records {
					exportNow(c, &records[i])
				}
				c.Close(clock.now())
				b, from := l.receive(t)
				l.receiveAll(t, c)
				if !hasTemplates(t, p, b) || from != local {
					t.Errorf("sets %v from %v, want templates first, from %v",
						setIDs(t, b), from, local)
				}
				sameFlows(t, flowsIn(t, l.messages), wantFlows(p, uint32(p), records))
			})
		}
	}
}

// TestMessageDelay proves that a message is sent one second after its first record.
func TestMessageDelay(t *testing.T) {
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c := opened(t, p, l, clock)
		e := &Exporter{Collectors: []*Collector{c}}
		e.Tick(t.Context(), clock.now()) // the templates
		r := sample(0, present)
		steps := []struct {
			after  time.Duration
			export bool
			sent   uint64
			due    time.Duration
		}{
			{500 * time.Millisecond, true, 1, time.Second},
			{900 * time.Millisecond, true, 1, 100 * time.Millisecond},
			{100*time.Millisecond - 1, false, 1, 1},
			{1, false, 2, 58500 * time.Millisecond}, // the templates
			{10 * time.Second, true, 2, time.Second},
		}
		for i, s := range steps {
			clock.advance(s.after)
			if s.export {
				exportAllNow(e, &r)
			}
			e.Tick(t.Context(), clock.now())
			due := time.Duration(e.Due(1<<62) - clock.at.Mono)
			if sent := c.Stats.Messages.Load(); sent != s.sent || due != s.due {
				t.Errorf("%s, step %d: %d sent, due in %v, want %d and %v",
					p, i, sent, due, s.sent, s.due)
			}
		}
	}
}

// TestFullMessage proves that a full message is sent at once, and that no record is lost between
// two.
func TestFullMessage(t *testing.T) {
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c := opened(t, p, l, clock)
		r := sample(translatedBit, present)
		n := 0
		for ; c.Stats.Messages.Load() < 3; n++ {
			exportNow(c, &r)
		}
		c.Close(clock.now())
		messages := l.receiveAll(t, c)
		for _, b := range messages[:3] {
			if len(b) > DefaultMessageSize || len(b) < DefaultMessageSize-100 {
				t.Errorf("%s: a full message has %d octets", p, len(b))
			}
		}
		if got := len(flowsIn(t, messages)); got != n {
			t.Errorf("%s: %d records arrived of %d", p, got, n)
		}
	}
}

// TestTemplatesRepeat each minute and on a new socket, with and without records.
func TestTemplatesRepeat(t *testing.T) {
	for _, p := range protocols {
		for _, every := range []time.Duration{
			0, 50 * time.Millisecond, 700 * time.Millisecond, 7 * time.Second,
		} {
			t.Run(p.String()+"/"+every.String(), func(t *testing.T) {
				clock, l := newFakeClock(), listen4(t)
				e := &Exporter{Collectors: []*Collector{opened(t, p, l, clock)}}
				for time.Duration(clock.at.Mono) < 5*time.Minute {
					if every != 0 {
						r := sample(0, clock.at.Wall)
						exportAllNow(e, &r)
					}
					drive(t, e, clock, cmp.Or(every, time.Minute))
					l.receiveAll(t, e.Collectors[0])
				}
				checkIntervals(t, p, l.messages)
				decodeAll(t, l.messages)
			})
		}
	}
}

// checkIntervals wants templates each 60 s, or as soon as the current message is sent, in messages
// of five minutes.
func checkIntervals(t *testing.T, p Protocol, messages [][]byte) {
	t.Helper()
	var at []uint32
	for _, b := range messages {
		if hasTemplates(t, p, b) {
			at = append(at, walk(t, b).seconds)
		}
	}
	if len(at) < 5 || len(at) > 6 {
		t.Errorf("%d times templates in five minutes", len(at))
	}
	for i := 1; i < len(at); i++ {
		if d := at[i] - at[i-1]; d < 59 || d > 62 {
			t.Errorf("%d s between templates", d)
		}
	}
}

// TestTemplatesOnNewSocket proves that templates are due at once: collectors know them by the
// sender's port.
func TestTemplatesOnNewSocket(t *testing.T) {
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c := opened(t, p, l, clock)
		r := sample(0, present)
		exportNow(c, &r)
		c.send(clock.now())
		_, first := l.receive(t)
		if err := c.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		exportNow(c, &r)
		c.send(clock.now())
		if b, from := l.receive(t); from == first || !hasTemplates(t, p, b) {
			t.Errorf("%s: from %v, then %v with sets %v", p, first, from, setIDs(t, b))
		}
	}
}

// TestIdle proves that an idle collector is due only for templates.
func TestIdle(t *testing.T) {
	clock, l := newFakeClock(), listen4(t)
	c := opened(t, IPFIX, l, clock)
	e := &Exporter{Collectors: []*Collector{c}}
	if ticks := drive(t, e, clock, time.Hour); ticks != 60 {
		t.Errorf("%d ticks in an idle hour, want one a minute", ticks)
	}
	for _, b := range l.receiveAll(t, c) {
		if ids := setIDs(t, b); !slices.Equal(ids, []uint16{2, 3, 512, 3, 3, 514}) {
			t.Errorf("sets %v in an idle hour", ids)
		}
	}
	if n := c.Stats.Messages.Load(); n != 60 {
		t.Errorf("%d messages in an idle hour", n)
	}
}

func TestCollectorStats(t *testing.T) {
	clock, l := newFakeClock(), listen4(t)
	c := opened(t, NetFlow9, l, clock)
	records := samples(present)
	for i := range records {
		exportNow(c, &records[i])
	}
	c.Close(clock.now())
	octets := 0
	for _, b := range l.receiveAll(t, c) {
		octets += len(b)
	}
	if s := &c.Stats; s.Records.Load() != templateCount+optionRecords ||
		s.Flows.Load() != templateCount || s.Octets.Load() != uint64(octets) ||
		s.Dropped.Load() != 0 {
		t.Errorf("%d records, %d octets, %d dropped",
			s.Records.Load(), s.Octets.Load(), s.Dropped.Load())
	}
}

// TestCollectorDoesNotAllocate, including the system call.
func TestCollectorDoesNotAllocate(t *testing.T) {
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c := opened(t, p, l, clock)
		records := samples(present)
		n := testing.AllocsPerRun(10, func() {
			for i := range 1000 {
				exportNow(c, &records[i%len(records)])
			}
			clock.advance(10 * time.Second) // the templates, at times
			c.tick(t.Context(), clock.now())
		})
		if n != 0 {
			t.Errorf("%s: %v allocations for 1000 records", p, n)
		}
		if c.Stats.SendErrors.Load() != 0 {
			t.Errorf("%s: %d send errors", p, c.Stats.SendErrors.Load())
		}
	}
}

func BenchmarkCollector(b *testing.B) {
	for _, p := range protocols {
		b.Run(p.String(), func(b *testing.B) {
			clock, l := newFakeClock(), listen4(b)
			c := opened(b, p, l, clock)
			pair := flow.Pair{sample(translatedBit, present)}
			b.ReportAllocs()
			for b.Loop() {
				pair[0].At = c.clock()
				c.export(&pair)
			}
		})
	}
}
