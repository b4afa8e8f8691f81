package flow

import (
	"reflect"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// keeper keeps the last pair.
type keeper struct{ pair [2]Record }

func (k *keeper) ExportPair(both *[2]Record) { k.pair = *both }

// TestPairs holds what both directions moved against the two records that a Sink is
// given, also where one of them rested.
func TestPairs(t *testing.T) {
	cases := map[string]func(e *conntrack.Event){
		"both":     moves,
		"original": func(e *conntrack.Event) { e.Counters[0] = conntrack.Counters{Packets: 3, Bytes: 300} },
		"reply":    func(e *conntrack.Event) { e.Counters[1] = conntrack.Counters{Packets: 5, Bytes: 5000} },
	}
	for name, move := range cases {
		t.Run(name, func(t *testing.T) {
			var k keeper
			paired := testOptions()
			paired.Pairs = &k
			single, both := running(t, testOptions()), running(t, paired)
			for _, h := range []*harness{single, both} {
				e := h.entry(conntrack.ProtoTCP)
				move(e)
				h.pass(time.Second)
				h.expire(e, h.now.Wall)
			}
			want := single.take()
			for d := range k.pair {
				r := &k.pair[d]
				if !r.Moved() {
					continue
				}
				if len(want) == 0 || !reflect.DeepEqual(*r, want[0]) {
					t.Fatalf("direction %d\n got %+v\nwant %+v", d, *r, want)
				}
				want = want[1:]
			}
			if len(want) > 0 || len(both.take()) > 0 {
				t.Errorf("not in the pair: %+v", want)
			}
			orig, reply := &k.pair[0], &k.pair[1]
			if orig.Src != reply.Dst || orig.SrcPort != reply.DstPort || orig.ID != reply.ID || orig.ID == 0 {
				t.Errorf("not two directions of one connection: %+v", k.pair)
			}
			if n := both.table.Stats.Records.Load(); n != single.table.Stats.Records.Load() {
				t.Errorf("counted as %d records", n)
			}
		})
	}
}

// TestPairOnce exports a pair once, and none where nothing moved.
func TestPairOnce(t *testing.T) {
	h := running(t, testOptions())
	o := testOptions()
	o.Pairs = h
	h.table.Reconfigure(o)
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

// TestID tells connections apart that have everything but their start in common.
func TestID(t *testing.T) {
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

// TestDescribe adds to each record what only others know.
func TestDescribe(t *testing.T) {
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
