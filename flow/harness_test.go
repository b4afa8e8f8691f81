package flow

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// harness drives a table by hand: a clock, and the records that came out.
type harness struct {
	t       *testing.T
	table   *Table
	now     conntrack.Timestamp
	records []Record
	pairs   int // how many calls of Export
}

// Export keeps the records of the directions that moved, and NAT events.
func (h *harness) Export(p *Pair) {
	h.pairs++
	for d := range p {
		if p[d].Moved() || p[d].NAT != 0 {
			h.records = append(h.records, p[d])
		}
	}
}

func (h *harness) Flush(conntrack.Timestamp) {}

const epoch = int64(1_800_000_000_000_000_000) // the harness begins here, ns since 1970

func testOptions() Options {
	return Options{Active: 60 * time.Second, Idle: 15 * time.Second}
}

// testTimeouts are the kernel's defaults.
func testTimeouts() *conntrack.Timeouts {
	s := time.Second
	return &conntrack.Timeouts{
		Generic: 600 * s, ICMP: 30 * s, ICMPv6: 30 * s, UDP: 30 * s, UDPStream: 120 * s,
		TCP: [10]time.Duration{
			conntrack.TCPSynSent: 120 * s, conntrack.TCPSynRecv: 60 * s,
			conntrack.TCPEstablished: 432000 * s,
			conntrack.TCPFinWait:     120 * s, conntrack.TCPCloseWait: 60 * s,
			conntrack.TCPLastAck:  30 * s,
			conntrack.TCPTimeWait: 120 * s, conntrack.TCPClose: 10 * s,
			conntrack.TCPSynSent2: 120 * s,
		},
		TCPUnacked: 300 * s, TCPRetrans: 300 * s,
	}
}

func newHarness(t *testing.T, o Options) *harness {
	h := &harness{t: t, now: conntrack.Timestamp{Mono: int64(time.Hour), Wall: epoch}}
	h.table = NewTable(o, testTimeouts(), h, h.now)
	return h
}

// running returns a harness whose first dump is done, so that all is new.
func running(t *testing.T, o Options) *harness {
	h := newHarness(t, o)
	h.dump()
	return h
}

func (h *harness) pass(d time.Duration) {
	h.now.Mono += int64(d)
	h.now.Wall += int64(d)
}

// dump shows the table these entries, as all that live.
func (h *harness) dump(entries ...*conntrack.Event) {
	for _, e := range entries {
		h.live(e)
	}
	h.table.EndDump(h.now)
}

func (h *harness) live(e *conntrack.Event) {
	shown := *e
	shown.Type, shown.At, shown.Stop = conntrack.Dump, h.now, 0
	h.table.Apply(&shown)
}

// expire ends an entry as its timer does; stop is when.
func (h *harness) expire(e *conntrack.Event, stop int64) {
	shown := *e
	shown.Type, shown.At, shown.Stop, shown.HasTimeout = conntrack.Destroy, h.now, stop, false
	h.table.Apply(&shown)
}

// take returns the records since the last take.
func (h *harness) take() []Record {
	r := h.records
	h.records = nil
	return r
}

// exported takes the records, and fails where they add up to other bytes.
func (h *harness) exported(want uint64) {
	h.t.Helper()
	if got := bytesOf(h.take()); got != want {
		h.t.Errorf("exported %d bytes, want %d", got, want)
	}
}

func tuple(proto uint8, src, dst string) conntrack.Tuple {
	s, d := netip.MustParseAddrPort(src), netip.MustParseAddrPort(dst)
	t := conntrack.Tuple{
		Src: conntrack.AddrFrom(s.Addr()), Dst: conntrack.AddrFrom(d.Addr()),
		SrcPort: s.Port(), DstPort: d.Port(), Proto: proto, Family: unix.AF_INET,
	}
	if s.Addr().Is6() {
		t.Family = unix.AF_INET6
	}
	return t
}

// entry returns an entry that began now and has counted nothing.
func (h *harness) entry(proto uint8) *conntrack.Event {
	e := &conntrack.Event{
		ID: 7, Counted: true, Start: h.now.Wall,
		Orig:  tuple(proto, "192.168.77.10:1024", "198.51.100.20:443"),
		Reply: tuple(proto, "198.51.100.20:443", "192.168.77.10:1024"),
	}
	if proto == conntrack.ProtoTCP {
		e.State = conntrack.TCPEstablished
	}
	return e
}

// moves adds a packet of 100 B to the original direction and one of 1000 B to the
// reply direction.
func moves(e *conntrack.Event) {
	e.Counters[0].Packets++
	e.Counters[0].Bytes += 100
	e.Counters[1].Packets++
	e.Counters[1].Bytes += 1000
}

func bytesOf(records []Record) (n uint64) {
	for _, r := range records {
		n += r.Bytes
	}
	return n
}
