package ctnetlink_test

import (
	"errors"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// FuzzDecode proves that decoding doesn't depend on what the Event held before, and that a decoded
// message can be encoded again.
func FuzzDecode(f *testing.F) {
	for _, c := range entries {
		f.Add(conntracktest.AppendAttributes(nil, &c.event))
	}
	f.Add(appended(nest(aTupleOrig, attr(aTupleZone, 0, 9))))
	f.Add(appended(nest(aProtoinfo, nest(2, attr(1, 5)))))
	f.Fuzz(func(t *testing.T, b []byte) {
		fresh, used := conntrack.Event{}, dirty()
		used.Type, used.At, used.Portid = 0, conntrack.Timestamp{}, 0
		err := ctnetlink.Decode(b, &fresh)
		again := ctnetlink.Decode(b, &used)
		switch {
		case !errors.Is(again, err):
			t.Fatalf("%v, then %v", err, again)
		case err != nil && !errors.Is(err, ctnetlink.ErrMalformed):
			t.Fatal(err)
		case err == nil && fresh != used:
			t.Fatalf("%+v\n%+v", fresh, used)
		case err == nil:
			reencode(t, fresh)
		}
	})
}

// reencode encodes e as the kernel would and decodes it.
func reencode(t *testing.T, e conntrack.Event) {
	e.Type = conntrack.Dump
	var got conntrack.Event
	if err := ctnetlink.Decode(conntracktest.AppendAttributes(nil, &e), &got); err != nil {
		t.Fatalf("%v for %+v", err, e)
	}
	if got.ID != e.ID || got.Zone != e.Zone || got.Mark != e.Mark || got.Counters != e.Counters ||
		got.Start != e.Start {
		t.Fatalf("got  %+v\nwant %+v", got, e)
	}
}

// FuzzReader feeds a datagram to both sockets: every call returns, an event never ends the reader,
// and each event is counted.
func FuzzReader(f *testing.F) {
	for _, c := range entries {
		m := conntracktest.AppendEntry(nil, &c.event)
		f.Add(conntracktest.Stamp(append(m, m...), 1))
	}
	f.Add(conntracktest.AppendDone(nil, 1, 0))
	f.Add(conntracktest.AppendDone(nil, 1, 12))
	f.Add(conntracktest.AppendError(nil, 1, 1, nil))
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		k := conntracktest.New()
		r := k.Reader()
		k.Create(tcpEntry())
		k.InjectEvent(b)
		seen := uint64(0)
		count := func(e *conntrack.Event) {
			seen++
			if e.Type != conntrack.Dump && e.Type != conntrack.Destroy ||
				e.At == (conntrack.Timestamp{}) {
				t.Errorf("%+v", e)
			}
		}
		if err := r.Wait(time.Second, count); err != nil {
			t.Errorf("an event: %v", err)
		}
		k.InjectChunk(b)
		if complete := r.Dump(count) == nil; complete != (r.Stats.Dumps.Load() == 1) {
			t.Errorf("complete: %v, counted as %d", complete, r.Stats.Dumps.Load())
		}
		if total := r.Stats.Entries.Load() + r.Stats.Destroys.Load(); total != seen {
			t.Errorf("%d counted, %d handed out", total, seen)
		}
		if most := 2 * len(b) / 20; seen > uint64(most+1) {
			t.Errorf("%d entries of %d bytes", seen, len(b))
		}
	})
}
