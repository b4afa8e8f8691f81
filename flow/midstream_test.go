package flow

import (
	"testing"
	"time"

	"github.com/conntally/conntally/conntrack"
)

// How a dump shows a TCP connection.
const (
	opened = iota
	pickedUp
	offloaded
)

// shownAs makes e what a dump shows of such a connection.
func shownAs(e *conntrack.Event, how int) {
	const sack, liberal = conntrack.TCPSACKPermitted, conntrack.TCPBeLiberal
	e.State, e.Status = conntrack.TCPEstablished, 0
	switch how {
	case opened:
		e.TCPFlags = [2]conntrack.TCPFlags{conntrack.TCPWindowScale | sack,
			conntrack.TCPWindowScale | sack}
	case pickedUp:
		e.TCPFlags = [2]conntrack.TCPFlags{sack | liberal, sack | liberal}
	case offloaded:
		e.State, e.Status, e.TCPFlags = 0, conntrack.Offload, [2]conntrack.TCPFlags{}
	}
}

// TestMidstreamHasNoSYN shows a connection in each way, one after the other, and then its end:
// no SYN is claimed and no initiator where the beginning was not seen.
func TestMidstreamHasNoSYN(t *testing.T) {
	for _, c := range []struct {
		name      string
		shown     []int
		syn       bool
		midstream []bool // of the record after each dump, then of the end
	}{
		{"opened", []int{opened, opened}, true, []bool{false, false, false}},
		{"seen only at its end", nil, true, []bool{false}},
		{"picked up", []int{pickedUp, pickedUp}, false, []bool{true, true, true}},
		{"offloaded when first seen", []int{offloaded, offloaded}, false, []bool{true, true, true}},
		{"offloaded when first seen, then not", []int{offloaded, opened}, false,
			[]bool{true, false, false}},
		{"opened, then offloaded", []int{opened, offloaded}, true, []bool{false, false, false}},
		{"picked up, then offloaded", []int{pickedUp, offloaded}, false, []bool{true, true, true}},
	} {
		o := testOptions()
		o.Active = time.Second
		h := running(t, o)
		e := h.entry(conntrack.ProtoTCP)
		check := func(i int) {
			records := h.take()
			if len(records) != 2 {
				t.Errorf("%s: %d records after step %d", c.name, len(records), i)
			}
			for _, r := range records {
				if syn := r.TCPFlags&tcpSYN != 0; syn != (c.syn && i == 0) ||
					r.Midstream != c.midstream[i] {
					t.Errorf("%s: step %d: SYN %t, midstream %t", c.name, i, syn, r.Midstream)
				}
			}
		}
		for i, how := range c.shown {
			h.pass(10 * time.Second)
			moves(e)
			shownAs(e, how)
			h.dump(e)
			check(i)
		}
		h.pass(time.Second)
		moves(e)
		e.State, e.Status, e.TCPFlags = conntrack.TCPTimeWait, 0, [2]conntrack.TCPFlags{}
		h.expire(e, h.now.Wall)
		check(len(c.shown))
	}
}

// TestOnlyTCPIsMidstream: other protocols have no beginning that could be missed.
func TestOnlyTCPIsMidstream(t *testing.T) {
	h := running(t, testOptions())
	e := h.entry(conntrack.ProtoUDP)
	shownAs(e, offloaded)
	moves(e)
	h.dump(e)
	h.expire(e, h.now.Wall)
	for _, r := range h.take() {
		if r.Midstream {
			t.Errorf("%+v", r)
		}
	}
}
