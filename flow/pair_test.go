package flow

import (
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// TestPairHasBothDirections each time that anything moved. One that was idle is described for
// sinks that export both as one record.
func TestPairHasBothDirections(t *testing.T) {
	cases := map[string][2]conntrack.Counters{
		"both":     {{Packets: 1, Bytes: 100}, {Packets: 2, Bytes: 2000}},
		"original": {{Packets: 3, Bytes: 300}, {}},
		"reply":    {{}, {Packets: 5, Bytes: 5000}},
		"none":     {},
	}
	for name, moved := range cases {
		t.Run(name, func(t *testing.T) {
			o := testOptions()
			o.Biflow = true
			h := running(t, o)
			var got []Pair
			h.table.sink = sinkFunc(func(p *Pair) { got = append(got, *p) })
			e := h.entry(conntrack.ProtoTCP)
			e.Counters = moved
			h.pass(time.Second)
			h.expire(e, h.now.Wall)
			if name == "none" {
				if len(got) != 0 {
					t.Errorf("exported %+v", got)
				}
				return
			}
			if len(got) != 1 {
				t.Fatalf("%d pairs", len(got))
			}
			checkPair(t, &got[0], &moved, h.now)
			want := uint64(0)
			for d := range moved {
				if moved[d].Packets > 0 {
					want++
				}
			}
			if n := h.table.Stats.Records.Load(); n != want {
				t.Errorf("counted as %d records, want %d", n, want)
			}
		})
	}
}

// TestIdleDirectionHasNoMoreThanTheTime where no sink wants it.
func TestIdleDirectionHasNoMoreThanTheTime(t *testing.T) {
	h := running(t, testOptions())
	var got []Pair
	h.table.sink = sinkFunc(func(p *Pair) { got = append(got, *p) })
	for range 2 { // the second is not to show what the first has left
		e := h.entry(conntrack.ProtoTCP)
		e.Counters[len(got)] = conntrack.Counters{Packets: 1, Bytes: 100}
		h.pass(time.Second)
		h.expire(e, h.now.Wall)
	}
	for i := range got {
		if idle := got[i][1-i]; idle != (Record{At: got[i].At()}) || !got[i][i].Moved() {
			t.Errorf("pair %d: %+v", i, got[i])
		}
	}
	if len(got) != 2 {
		t.Errorf("%d pairs", len(got))
	}
}

func checkPair(t *testing.T, p *Pair, moved *[2]conntrack.Counters, now conntrack.Timestamp) {
	t.Helper()
	for d := range p {
		if r := &p[d]; r.Packets != moved[d].Packets || r.Bytes != moved[d].Bytes ||
			r.Moved() != (moved[d].Packets > 0) {
			t.Errorf("direction %d has %d packets, %d bytes, want %+v", d, r.Packets, r.Bytes,
				moved[d])
		}
	}
	orig, reply := &p[conntrack.Original], &p[conntrack.Reply]
	if orig.Src != reply.Dst || orig.SrcPort != reply.DstPort || orig.ID != reply.ID ||
		orig.ID == 0 {
		t.Errorf("not two directions of one connection: %+v", p)
	}
	if p.At() != now || reply.At != now || orig.NAT != 0 {
		t.Errorf("exported at %v and %v, a NAT event: %d", p.At(), reply.At, orig.NAT)
	}
}

// TestPairIsExportedOnce: and not at all if nothing moved.
func TestPairIsExportedOnce(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	for range 3 {
		h.pass(20 * time.Second)
		h.dump(e)
	}
	moves(e)
	for range 3 {
		h.pass(20 * time.Second)
		h.dump(e)
	}
	h.expire(e, h.now.Wall)
	if got := h.take(); h.pairs != 1 || len(got) != 2 || bytesOf(got) != 1100 {
		t.Errorf("%d pairs, %+v", h.pairs, got)
	}
}

// TestSinksReceiveTheSameInOrder: in the order of the list.
func TestSinksReceiveTheSameInOrder(t *testing.T) {
	var order []string
	note := func(name string) Sink { return noted{name, &order} }
	all := Sinks{note("a"), note("b")}
	all.Export(new(Pair))
	all.Flush(conntrack.Timestamp{})
	want := []string{"a takes", "b takes", "a flushes", "b flushes"}
	if !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
}

// noted is a Sink that notes its calls.
type noted struct {
	name  string
	order *[]string
}

func (n noted) Export(*Pair) { *n.order = append(*n.order, n.name+" takes") }

func (n noted) Flush(conntrack.Timestamp) { *n.order = append(*n.order, n.name+" flushes") }

// TestIDDiffersByStart: even if connections have everything else in common.
func TestIDDiffersByStart(t *testing.T) {
	h := running(t, testOptions())
	seen := map[uint64]bool{}
	for range 3 {
		e := h.entry(conntrack.ProtoUDP)
		moves(e)
		h.pass(time.Millisecond)
		h.expire(e, h.now.Wall)
		got := h.take()
		if got[0].ID != got[1].ID || seen[got[0].ID] || got[0].ID>>32 != uint64(e.ID) {
			t.Errorf("ids %x and %x of CTA_ID %x", got[0].ID, got[1].ID, e.ID)
		}
		seen[got[0].ID] = true
	}
}

// TestDescribeAddsToEachRecord adds to each record what only others know.
func TestDescribeAddsToEachRecord(t *testing.T) {
	o := testOptions()
	o.Describe = func(r *Record) { r.InputVLAN = r.SrcPort }
	h := running(t, o)
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.expire(e, h.now.Wall)
	for _, r := range h.take() {
		if r.InputVLAN != r.SrcPort {
			t.Errorf("not described: %+v", r)
		}
	}
}
