package flow

import (
	"fmt"
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// saw shows an entry's first packet, which routes would have sent by wan.
func saw(e *conntrack.Event, input, output uint32) {
	e.First = conntrack.FirstPacket{
		Known: true, Input: input, Output: output, ToS: 0xb8, VLAN: 7, MAC: [6]byte{2, 0, 0, 0, 0, 9},
	}
}

// way is what a record says of the way that packets took.
type way struct {
	input, output uint32
	egress, seen  bool
}

// ways returns those of the next records of the original direction.
func (h *harness) ways() (all []way) {
	for _, r := range h.take() {
		if r.DstPort == 443 {
			all = append(all, way{r.Input, r.Output, r.Egress, r.Seen})
		}
	}
	return all
}

func (h *harness) went(where string, want way) {
	h.t.Helper()
	if got := h.ways(); len(got) != 1 || got[0] != want {
		h.t.Errorf("%s: %+v, want %+v", where, got, want)
	}
}

// TestFirstPacketShowsInterfaces: in both directions, whatever routes say; only the original one
// has the packet's own values.
func TestFirstPacketShowsInterfaces(t *testing.T) {
	h, l := linked(t, Endpoints)
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	saw(e, lan, wan2)
	h.expire(e, h.now.Wall)
	want, back := h.take2(0), h.take2(1)
	if want.Input != lan || want.Output != wan2 || !want.Egress || !want.Seen ||
		want.ToS != 0xb8 || want.InputVLAN != 7 || want.SrcMAC != e.First.MAC {
		t.Errorf("original: %+v", want)
	}
	if back.Input != wan2 || back.Output != lan || back.Egress || !back.Seen ||
		back.ToS != 0 || back.InputVLAN != 0 || back.SrcMAC != [6]byte{} {
		t.Errorf("reply: %+v", back)
	}
	if l.asked != 0 {
		t.Errorf("routes were asked %d times for a connection that had ended", l.asked)
	}
}

// TestFirstPacketByAnUplinkOfToday: whether an interface is an uplink is as of each connection, though
// the next one takes the same interfaces.
func TestFirstPacketByAnUplinkOfToday(t *testing.T) {
	h, l := linked(t, Endpoints)
	for i, offline := range []bool{false, false, true, true, false} {
		if offline != l.offline {
			l.offline = offline
			l.version++
		}
		e := h.entry(conntrack.ProtoUDP)
		e.ID = uint32(i)
		moves(e)
		saw(e, lan, wan)
		h.expire(e, h.now.Wall)
		h.went(fmt.Sprint("offline: ", offline), way{lan, wan, !offline, true})
	}
}

// TestFirstPacketOfRouterItself: what it receives and sends is 0, and what it sends to itself is as
// routes say.
func TestFirstPacketOfRouterItself(t *testing.T) {
	for name, c := range map[string]struct {
		input, output uint32
		want          way
	}{
		"to it":     {lan, 0, way{lan, 0, false, true}},
		"from it":   {0, wan, way{0, wan, true, true}},
		"to itself": {0, 1, way{1, 0, false, true}},
	} {
		h, _ := linked(t, Endpoints)
		e := h.entry(conntrack.ProtoUDP)
		moves(e)
		saw(e, c.input, c.output)
		h.expire(e, h.now.Wall)
		h.went(name, c.want)
	}
}

// TestUnknownFirstPacketLeavesRoutes: and the record doesn't claim more.
func TestUnknownFirstPacketLeavesRoutes(t *testing.T) {
	h, _ := linked(t, Endpoints)
	e := h.entry(conntrack.ProtoUDP)
	moves(e)
	h.expire(e, h.now.Wall)
	h.went("not seen", way{lan, wan, true, false})
}

// TestFirstPacketKnownLater: a flow that routes placed is right from the event on that shows its
// first packet, in a dump or at its end, unless routes have changed since.
func TestFirstPacketKnownLater(t *testing.T) {
	for _, changed := range []bool{false, true} {
		for _, ends := range []bool{false, true} {
			h, l := linked(t, Endpoints)
			e := h.entry(conntrack.ProtoTCP)
			h.dump(e)
			if changed {
				l.change(Path{NewHop(lan, false), NewHop(9, true)}, h.now)
				h.active(e)
				h.went("changed", way{lan, 9, true, false})
			}
			want := way{lan, wan2, true, true}
			if changed {
				want.output = 9
			}
			saw(e, lan, wan2)
			if moves(e); ends {
				h.expire(e, h.now.Wall)
			} else {
				h.active(e)
			}
			h.went("known", want)
		}
	}
}

// active keeps a flow moving until its next record.
func (h *harness) active(e *conntrack.Event) {
	for range 6 {
		h.pass(10 * time.Second)
		moves(e)
		h.dump(e)
	}
}

// TestPathFollowsRoutesThatLedAsFirstPacketWent: after a change the next record has the new path. A
// path that routes never led keeps its interfaces, and learns which of them is an uplink.
func TestPathFollowsRoutesThatLedAsFirstPacketWent(t *testing.T) {
	for output, want := range map[uint32]way{
		wan:  {lan, 9, true, true},
		wan2: {lan, wan2, true, true},
		8:    {lan, 8, false, true},
	} {
		h, l := linked(t, Endpoints)
		e := h.entry(conntrack.ProtoTCP)
		saw(e, lan, output)
		h.dump(e)
		h.active(e)
		h.went("before", way{lan, output, output != 8, true})
		l.change(Path{NewHop(lan, false), NewHop(9, true)}, h.now)
		h.active(e)
		h.went("after the change", want)
	}
}

// TestMeterMovesToFirstPacketsPath: what is read from then on counts there.
func TestMeterMovesToFirstPacketsPath(t *testing.T) {
	m := &pathMeter{}
	o := testOptions()
	o.Routes, o.Meter = &fakeRoutes{path: outward()}, m
	h := running(t, o)
	e := h.entry(conntrack.ProtoTCP)
	moves(e)
	h.dump(e)
	saw(e, lan, wan2)
	moves(e)
	h.expire(e, h.now.Wall)
	want := []Path{outward(), {NewHop(lan, false), NewHop(wan2, true)}}
	if len(m.opened) != 2 || m.opened[0] != want[0] || m.opened[1] != want[1] || m.closed != 2 ||
		m.counted != [2]uint64{1, 1} {
		t.Errorf("opened %v, closed %d, counted %v", m.opened, m.closed, m.counted)
	}
}

// pathMeter notes the paths that it is told, and how often each was counted.
type pathMeter struct {
	opened  []Path
	counted [2]uint64
	closed  int
}

func (m *pathMeter) Open(_ *conntrack.Event, p Path) uint32 {
	m.opened = append(m.opened, p)
	return uint32(len(m.opened) - 1)
}

func (m *pathMeter) Count(slot uint32, _ *[2]conntrack.Counters, _ conntrack.Timestamp) {
	m.counted[slot]++
}

func (m *pathMeter) Close(uint32) { m.closed++ }

func (m *pathMeter) CountEnded(*conntrack.Event, Path, *[2]conntrack.Counters) {}
