package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// TestRecordHasTheMarkLastRead marks a connection again and again: both records of each export have
// the mark of the reading that they are exported at. What is exported without a reading, as at the
// program's end, has that of the last one that found packets.
func TestRecordHasTheMarkLastRead(t *testing.T) {
	h := running(t, testOptions())
	wantMark := func(what string, want uint32) {
		t.Helper()
		records := h.take()
		if len(records) != 2 {
			t.Fatalf("%s: %d records", what, len(records))
		}
		for _, r := range records {
			if r.Mark != want {
				t.Errorf("%s: mark %#x, want %#x", what, r.Mark, want)
			}
		}
	}
	e := h.entry(conntrack.ProtoUDP)
	e.Mark = 1
	moves(e)
	h.dump(e)
	e.Mark = 0x80000002 // without another packet
	for h.pass(time.Second); len(h.records) == 0; h.pass(time.Second) {
		h.dump(e)
	}
	wantMark("idle", 0x80000002)

	e.Mark = 3
	moves(e)
	h.dump(e)
	h.table.Flush(h.now)
	wantMark("stop", 3)

	moves(e)
	h.dump(e)
	e.Mark = 4
	h.expire(e, h.now.Wall)
	wantMark("end", 4)

	short := h.entry(conntrack.ProtoUDP)
	short.Mark = 5
	moves(short)
	h.expire(short, h.now.Wall)
	wantMark("never seen by a dump", 5)
}
