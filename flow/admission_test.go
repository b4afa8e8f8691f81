package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

func TestOnlyNewTrafficOfOlderEntriesCounts(t *testing.T) {
	cases := map[string]struct {
		start   int64 // relative to the table, 0 = no time stamp
		inFirst bool
		want    uint64 // bytes exported of 1100 at first sight and 1100 later
	}{
		"older":                       {-5 * second, true, 1100},
		"older, no time stamps":       {0, true, 1100},
		"newer, in the first dump":    {second, true, 2200},
		"newer, later":                {second, false, 2200},
		"later, no time stamps":       {0, false, 2200},
		"later, clock set back since": {-3600 * second, false, 2200},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, testOptions())
			h.pass(2 * time.Second)
			if !c.inFirst {
				h.dump()
				h.pass(10 * time.Second)
			}
			e := h.entry(conntrack.ProtoUDP)
			e.Start = 0
			if c.start != 0 {
				e.Start = epoch + c.start
			}
			moves(e)
			h.dump(e)
			h.pass(10 * time.Second)
			moves(e)
			h.expire(e, h.now.Wall)
			if got := bytesOf(h.take()); got != c.want {
				t.Errorf("exported %d bytes, want %d", got, c.want)
			}
		})
	}
}

// Of an entry that ends before the first dump reached it, traffic before and after the
// start can't be separated.
func TestOlderEntryThatEndsInFirstDumpIsExcluded(t *testing.T) {
	h := newHarness(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Start = epoch - second
	moves(e)
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 0 || h.table.Stats.Excluded.Load() != 1 {
		t.Errorf("%+v, %d ignored", got, h.table.Stats.Excluded.Load())
	}
}

func TestEntriesWithoutCountersAreCounted(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	e.Counted = false
	h.dump(e)
	h.expire(e, h.now.Wall)
	if got := h.take(); len(got) != 0 || h.table.Stats.Uncounted.Load() != 2 {
		t.Errorf("%+v, uncounted %d", got, h.table.Stats.Uncounted.Load())
	}
}

func TestOwnExportAndLoopbackAreExcluded(t *testing.T) {
	own := tuple(conntrack.ProtoUDP, "198.51.100.1:5000", "198.51.100.9:2055")
	o := testOptions()
	o.Exclude = func(e *conntrack.Event) bool { return e.Orig == own }
	cases := map[string]conntrack.Tuple{
		"own export": own,
		"loopback 4": tuple(conntrack.ProtoUDP, "127.0.0.1:5", "127.0.0.53:53"),
		"loopback 6": tuple(conntrack.ProtoUDP, "[::1]:5", "[::1]:53"),
		"to itself":  tuple(conntrack.ProtoUDP, "192.168.77.1:5", "192.168.77.1:53"),
	}
	for name, orig := range cases {
		h := running(t, o)
		e := h.entry(conntrack.ProtoUDP)
		e.Orig, e.Reply = orig, orig
		e.Reply.Src, e.Reply.SrcPort, e.Reply.Dst, e.Reply.DstPort = orig.Dst, orig.DstPort,
			orig.Src, orig.SrcPort
		moves(e)
		h.dump(e)
		h.expire(e, h.now.Wall)
		if got := h.take(); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
