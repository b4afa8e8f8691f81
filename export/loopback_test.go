package export

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

// fakeClock stands still until a test moves it.
type fakeClock struct{ at conntrack.Timestamp }

func newFakeClock() *fakeClock { return &fakeClock{conntrack.Timestamp{Mono: 0, Wall: present}} }

func (c *fakeClock) now() conntrack.Timestamp { return c.at }

func (c *fakeClock) advance(d time.Duration) {
	c.at.Mono += int64(d)
	c.at.Wall += int64(d)
}

// listener receives what a Collector sends.
type listener struct {
	*net.UDPConn
	messages [][]byte
}

func listen(t testing.TB, address string) *listener {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &listener{UDPConn: conn}
}

func listen4(t testing.TB) *listener { return listen(t, "127.0.0.1:0") }

func (l *listener) address() netip.AddrPort { return l.LocalAddr().(*net.UDPAddr).AddrPort() }

// receive returns the next datagram and where it came from.
func (l *listener) receive(t testing.TB) ([]byte, netip.AddrPort) {
	t.Helper()
	// Only so that a failing test doesn't hang.
	if err := l.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 65536)
	n, from, err := l.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	l.messages = append(l.messages, b[:n])
	return b[:n], from
}

// drain reads what has arrived so far: loopback delivers at once, and the kernel's buffer is
// limited.
func (l *listener) drain(t testing.TB) {
	t.Helper()
	raw, err := l.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 65536)
	err = raw.Read(func(fd uintptr) bool {
		for {
			n, _, err := unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
			if err != nil {
				return true
			}
			l.messages = append(l.messages, slices.Clone(b[:n]))
		}
	})
	if err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
}

// receiveAll returns as many datagrams as c has sent.
func (l *listener) receiveAll(t testing.TB, c *Collector) [][]byte {
	t.Helper()
	for len(l.messages) < int(c.Stats.Messages.Load()) {
		l.receive(t)
	}
	return l.messages
}

// opened returns a collector that exports to l.
func opened(t testing.TB, p Protocol, l *listener, clock *fakeClock) *Collector {
	t.Helper()
	c := NewCollector(CollectorConfig{Address: l.address().String(), Protocol: p}, clock.now)
	if err := c.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(clock.now()) })
	return c
}

// drive calls Tick whenever it is due, until the clock has advanced by d. Due may be in the past
// once, for work that the Tick before has left.
func drive(t testing.TB, e *Exporter, clock *fakeClock, d time.Duration) (ticks int) {
	t.Helper()
	end := clock.at.Mono + int64(d)
	for idle := 0; ; ticks++ {
		due := e.Due(end)
		if idle++; due > clock.at.Mono {
			idle = 0
		}
		if idle > 2 {
			t.Fatalf("due at %v, now it is %v: a busy loop",
				time.Duration(due), time.Duration(clock.at.Mono))
		}
		if due >= end {
			clock.advance(time.Duration(end - clock.at.Mono))
			return ticks
		}
		clock.advance(max(time.Duration(due-clock.at.Mono), 0))
		e.Tick(t.Context(), clock.now())
	}
}

// samples returns a record of each kind.
func samples(now int64) []flow.Record {
	records := make([]flow.Record, templateCount)
	for kind := range records {
		records[kind] = sample(kind, now)
	}
	return records
}

// setIDs returns the ids of the sets in a message.
func setIDs(t testing.TB, b []byte) (ids []uint16) {
	t.Helper()
	for _, s := range walk(t, b).sets {
		ids = append(ids, s.id)
	}
	return ids
}

// hasTemplates reports whether a message begins with all templates.
func hasTemplates(t testing.TB, p Protocol, b []byte) bool {
	t.Helper()
	ids := setIDs(t, b)
	return len(ids) >= 3 && ids[0] == p.templateSetID() && ids[1] == p.optionsTemplateSetID() &&
		ids[2] == samplingOption
}

// exportNow exports a record at the time of the clock.
func exportNow(c *Collector, r *flow.Record) {
	r.At = c.clock()
	c.export(&flow.Pair{*r})
}

func exportAllNow(e *Exporter, r *flow.Record) {
	r.At = e.Collectors[0].clock()
	e.Export(&flow.Pair{*r})
}
