package export

import (
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deserted returns an address where nothing listens.
func deserted(t *testing.T) *listener {
	t.Helper()
	l := listen4(t)
	l.Close()
	return l
}

// sendUntilRefused sends records until the kernel has reported that nothing listens.
func sendUntilRefused(t *testing.T, c *Collector, clock *fakeClock) (sent int) {
	t.Helper()
	for c.Stats.Refused.Load() == 0 {
		if sent++; sent > 1000 {
			t.Fatal("1000 datagrams, none refused")
		}
		r := sample(0, clock.at.Wall)
		exportNow(c, &r)
		c.send(clock.now())
	}
	return sent
}

// TestRefused proves that refused datagrams and their records are counted, and that the first
// datagram after the collector's return arrives.
func TestRefused(t *testing.T) {
	for _, p := range protocols {
		clock, away := newFakeClock(), deserted(t)
		c := opened(t, p, away, clock)
		sent := sendUntilRefused(t, c, clock)
		s := &c.Stats
		if s.SendErrors.Load() != 0 || s.Messages.Load() != uint64(sent) {
			t.Errorf("%s: %d errors, %d messages of %d",
				p, s.SendErrors.Load(), s.Messages.Load(), sent)
		}
		refused, one := s.Refused.Load(), sample(0, present)
		if s.LostFlows.Load() != refused || s.LostOctets.Load() != refused*one.Bytes ||
			s.Dropped.Load() != refused+optionRecords {
			t.Errorf("%s: %d refused, lost %d flows, %d octets, %d records",
				p, refused, s.LostFlows.Load(), s.LostOctets.Load(), s.Dropped.Load())
		}
		if err := c.Failure(clock.now()); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("%s: fails with %v", p, err)
		}
		back := listen(t, away.address().String())
		r := sample(0, clock.at.Wall)
		exportNow(c, &r)
		c.send(clock.now())
		if b, _ := back.receive(t); !slices.Contains(setIDs(t, b), firstTemplate) {
			t.Errorf("%s: the first datagram has sets %v", p, setIDs(t, b))
		}
		clock.advance(recoverAfter)
		if err := c.Failure(clock.now()); err != nil {
			t.Errorf("%s: after its return fails with %v", p, err)
		}
	}
}

// TestTemplatesAfterRefusal proves that a collector that returns gets templates soon.
func TestTemplatesAfterRefusal(t *testing.T) {
	for _, p := range protocols {
		clock, away := newFakeClock(), deserted(t)
		c := opened(t, p, away, clock)
		sendUntilRefused(t, c, clock)
		before := c.Stats.Messages.Load()
		back := listen(t, away.address().String())
		drive(t, &Exporter{Collectors: []*Collector{c}}, clock, retryInterval+time.Second)
		for c.Stats.Messages.Load()-before > uint64(len(back.messages)) {
			back.receive(t)
		}
		if n := len(back.messages); n != 1 || !hasTemplates(t, p, back.messages[0]) {
			t.Errorf("%s: %d datagrams, want one with templates", p, n)
		}
	}
}

// TestRefusedIdle proves that templates don't flood a collector that refuses them.
func TestRefusedIdle(t *testing.T) {
	clock := newFakeClock()
	c := opened(t, IPFIX, deserted(t), clock)
	ticks := drive(t, &Exporter{Collectors: []*Collector{c}}, clock, time.Hour)
	if most := int(time.Hour / retryInterval); ticks > most {
		t.Errorf("%d ticks in an hour, want at most %d", ticks, most)
	}
	if c.Stats.Refused.Load() == 0 {
		t.Error("none refused")
	}
}

// TestBrokenSocket proves that a socket that can't send any more is replaced, as after its own
// address is gone.
func TestBrokenSocket(t *testing.T) {
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c := opened(t, p, l, clock)
		e := &Exporter{Collectors: []*Collector{c}}
		e.Tick(t.Context(), clock.now())
		l.receive(t)
		c.socket.conn.Close()
		r := sample(0, clock.at.Wall)
		exportNow(c, &r)
		drive(t, e, clock, messageDelay+time.Second)
		if s := &c.Stats; s.SendErrors.Load() != 1 || s.Dropped.Load() != 1 {
			t.Errorf("%s: %d errors, %d unsent", p, s.SendErrors.Load(), s.Dropped.Load())
		}
		awaitSearch(t, c)
		drive(t, e, clock, resultInterval+time.Second)
		if b, from := l.receive(t); !hasTemplates(t, p, b) || from != c.socket.local {
			t.Errorf("%s: sets %v from %v", p, setIDs(t, b), from)
		}
	}
}

// TestPendingOnNewSocket proves that pending records leave by the old socket: on a new one,
// templates come first.
func TestPendingOnNewSocket(t *testing.T) {
	for _, p := range protocols {
		clock, l := newFakeClock(), listen4(t)
		c := opened(t, p, l, clock)
		c.tick(t.Context(), clock.now())
		r := sample(0, present)
		exportNow(c, &r)
		old := c.socket.local
		if err := c.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		exportNow(c, &r)
		c.send(clock.now())
		for _, b := range l.receiveAll(t, c) {
			t.Logf("%s: sets %v", p, setIDs(t, b))
		}
		if len(l.messages) != 3 || !hasTemplates(t, p, l.messages[2]) || c.socket.local == old {
			t.Errorf("%s: %d messages, want the templates, the record, both on the new socket",
				p, len(l.messages))
		}
	}
}
