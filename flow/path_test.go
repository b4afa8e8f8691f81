package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// fakeRoutes sends everything the same way, and counts how often it is asked.
type fakeRoutes struct {
	path    Path
	version uint32
	first   int64 // changes
	since   int64
	asked   int
	shrunk  int
	offline bool // there is no default route
}

func (l *fakeRoutes) Path(*conntrack.Event) Path { l.asked++; return l.path }

func (l *fakeRoutes) Hop(index uint32) Hop {
	return NewHop(index, !l.offline && (index == wan || index == wan2))
}

func (l *fakeRoutes) Version() uint32 { return l.version }

func (l *fakeRoutes) Shrink() { l.shrunk++ }

func (l *fakeRoutes) Changed(uint32, *conntrack.Event, Path, Path) (first, last int64) {
	return l.first, l.since
}

// change sends all another way from now on.
func (l *fakeRoutes) change(p Path, now conntrack.Timestamp) {
	l.path, l.version, l.first, l.since = p, l.version+1, now.Mono, now.Mono
}

const lan, wan, wan2, host = 3, 4, 5, 0

func outward() Path { return Path{NewHop(lan, false), NewHop(wan, true)} }

// linked returns a running harness with interfaces.
func linked(t *testing.T, view View) (*harness, *fakeRoutes) {
	l := &fakeRoutes{path: outward()}
	o := testOptions()
	o.Routes, o.NAT = l, view
	return running(t, o), l
}

func TestHopHoldsIndexAndUplink(t *testing.T) {
	for _, index := range []uint32{0, 1, 1<<31 - 1} {
		for _, uplink := range []bool{false, true} {
			if h := NewHop(index, uplink); h.Index() != index || h.Uplink() != uplink {
				t.Errorf("NewHop(%d, %t) is %d, %t", index, uplink, h.Index(), h.Uplink())
			}
		}
	}
}

// TestInterfacesByDirection: input is towards the sender, output towards the receiver, and only
// what leaves by an uplink is egress.
func TestInterfacesByDirection(t *testing.T) {
	type side struct {
		input, output uint32
		egress        bool
	}
	cases := map[string]struct {
		path          Path
		forward, back side
	}{
		"out": {outward(), side{lan, wan, true}, side{wan, lan, false}},
		"in": {Path{NewHop(wan, true), NewHop(lan, false)}, side{wan, lan, false},
			side{lan, wan, true}},
		"inside": {Path{NewHop(lan, false), NewHop(lan, false)}, side{lan, lan, false},
			side{lan, lan, false}},
		"transit": {Path{NewHop(wan, true), NewHop(wan2, true)}, side{wan, wan2, true},
			side{wan2, wan, true}},
		"to us":       {Path{NewHop(lan, false), host}, side{lan, 0, false}, side{0, lan, false}},
		"from us out": {Path{host, NewHop(wan, true)}, side{0, wan, true}, side{wan, 0, false}},
	}
	for name, c := range cases {
		for _, view := range []View{Endpoints, Wire} {
			t.Run(name+", "+view.String(), func(t *testing.T) {
				h, l := linked(t, view)
				l.path = c.path
				e := h.entry(conntrack.ProtoUDP)
				moves(e)
				h.expire(e, h.now.Wall)
				for i, want := range []side{c.forward, c.back} {
					r := h.take2(i)
					if got := (side{r.Input, r.Output, r.Egress}); got != want {
						t.Errorf("direction %d: %+v, want %+v", i, got, want)
					}
				}
			})
		}
	}
}

// take2 returns one of two records without taking it.
func (h *harness) take2(i int) Record {
	h.t.Helper()
	if len(h.records) != 2 {
		h.t.Fatalf("%d records, want 2", len(h.records))
	}
	return h.records[i]
}

// outputs returns where the next records of the original direction leave.
func (h *harness) outputs() (all []uint32) {
	for _, r := range h.take() {
		if r.DstPort == 443 {
			all = append(all, r.Output)
		}
	}
	return all
}

func (h *harness) leaves(where string, want ...uint32) {
	h.t.Helper()
	got := h.outputs()
	if len(got) != len(want) {
		h.t.Fatalf("%s: outputs %v, want %v", where, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			h.t.Fatalf("%s: outputs %v, want %v", where, got, want)
		}
	}
}

// TestPathIsResolvedOncePerFlow: however often it is polled and exported.
func TestPathIsResolvedOncePerFlow(t *testing.T) {
	h, l := linked(t, Endpoints)
	e := h.entry(conntrack.ProtoTCP)
	for range 60 {
		h.pass(10 * time.Second)
		moves(e)
		h.dump(e)
	}
	h.expire(e, h.now.Wall)
	if n := len(h.outputs()); n != 10 {
		t.Errorf("%d records, want 10", n)
	}
	if l.asked != 1 {
		t.Errorf("asked %d times for the path of one flow", l.asked)
	}
}

// TestNextRecordTakesNewPath: a flow that goes on has its next record by the new path, one
// that begins at once.
func TestNextRecordTakesNewPath(t *testing.T) {
	h, l := linked(t, Endpoints)
	old := h.entry(conntrack.ProtoTCP)
	moves(old)
	h.dump(old)
	h.pass(30 * time.Second)
	l.change(Path{NewHop(lan, false), NewHop(wan2, true)}, h.now)
	h.dump(old)
	if l.asked != 2 {
		t.Errorf("asked %d times, by a flow that began and a record of it", l.asked)
	}
	h.leaves("at rest since before the change", wan)
	h.pass(2 * time.Second)
	young := h.entry(conntrack.ProtoUDP)
	young.ID++
	moves(young)
	h.expire(young, h.now.Wall)
	h.leaves("new", wan2)
	moves(old)
	h.pass(2 * time.Second)
	h.dump(old)
	h.expire(old, h.now.Wall)
	h.leaves("moved since the change", wan2)
}

// TestOtherRouteChangesDoNotHideOwnChange: routes that go on changing don't keep a flow that
// lives from its own change at its next record, nor give one that ends what came behind its
// last packet.
func TestOtherRouteChangesDoNotHideOwnChange(t *testing.T) {
	h, l := linked(t, Endpoints)
	e := h.entry(conntrack.ProtoTCP)
	h.dump(e)
	l.change(Path{NewHop(lan, false), NewHop(wan2, true)}, h.now)
	for range 6 { // till the active timeout
		h.pass(10 * time.Second)
		moves(e)
		l.version, l.since = l.version+1, h.now.Mono
		h.dump(e)
	}
	h.leaves("next record", wan2)
	l.change(Path{}, h.now)
	l.path, l.first = Path{NewHop(lan, false), NewHop(wan, true)}, h.now.Mono-int64(time.Minute)
	moves(e)
	h.expire(e, h.now.Wall)
	h.leaves("end", wan2)
}

// TestConnectionEndedByRouteChangeKeepsItsPath: an interface that goes away ends connections,
// whose bytes went by it all the same.
func TestConnectionEndedByRouteChangeKeepsItsPath(t *testing.T) {
	h, l := linked(t, Endpoints)
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	h.dump(e)
	h.pass(30 * time.Second)
	moves(e)
	l.change(Path{}, h.now)
	h.pass(time.Millisecond)
	// the last packet came 1 to 2 s ago
	e.HasTimeout, e.Timeout, e.Stop = true, uint32(432000-1), h.now.Wall
	h.end(e)
	h.leaves("ended with its interface", wan)
}

// TestRouteChangeNearPacketWaitsForNextRecord: to within half a second nobody knows which of
// the two was first, and what a change of routes ends went the old way.
func TestRouteChangeNearPacketWaitsForNextRecord(t *testing.T) {
	for after, want := range map[time.Duration]uint32{400 * time.Millisecond: wan,
		600 * time.Millisecond: wan2} {
		h, l := linked(t, Endpoints)
		e := h.entry(conntrack.ProtoTCP)
		h.dump(e)
		l.change(Path{NewHop(lan, false), NewHop(wan2, true)}, h.now)
		h.pass(after)
		moves(e)
		h.live(e)
		h.expire(e, h.now.Wall)
		h.leaves(after.String(), want)
	}
}

// end shows an end as it is.
func (h *harness) end(e *conntrack.Event) {
	shown := *e
	shown.Type, shown.At = conntrack.Destroy, h.now
	h.table.Apply(&shown)
}

// TestPathStaysWhereNoRouteIsLeft: where no route leads any more the last known path stays.
func TestPathStaysWhereNoRouteIsLeft(t *testing.T) {
	h, l := linked(t, Endpoints)
	e := h.entry(conntrack.ProtoTCP)
	h.dump(e)
	l.change(Path{NewHop(wan2, true), 0}, h.now)
	h.pass(10 * time.Second)
	moves(e)
	h.dump(e)
	h.expire(e, h.now.Wall)
	if r := h.take2(0); r.Input != wan2 || r.Output != wan {
		t.Errorf("from %d to %d, want from %d to %d", r.Input, r.Output, wan2, wan)
	}
}

// TestRestoredFlowHasPath: a flow of a previous run finds its path too.
func TestRestoredFlowHasPath(t *testing.T) {
	h, _ := linked(t, Endpoints)
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	h.table.Restore(h.now.Wall,
		map[conntrack.Key]Checkpoint{e.Key(): {Key: e.Key(), Until: h.now.Mono}})
	h.expire(e, h.now.Wall)
	h.leaves("restored", wan)
}
