package lab

import (
	"testing"

	"github.com/mdlayher/netlink"
	"github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"
)

// TestFlood: each flow is one entry of one datagram, and none is lost on the way.
func TestFlood(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	const flows, first = 20_000, 7000
	for i, f := range []FloodFlow{
		{Flows: flows / 2, Rate: 20_000, Size: 40, First: first},
		{Flows: flows / 2, Size: 40, First: first + flows/2},
	} {
		if err := l.Flood(testContext(t), f); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	want := Count{flows, flows * 68}
	sent, err := l.Sent()
	if err != nil {
		t.Fatal(err)
	}
	if got := settle(t, l)[udp4]; got != want || sent[udp4] != want || l.Generated()[udp4] != want {
		t.Errorf("forwarded %v, sent %v, generated %v, want %v",
			got, sent[udp4], l.Generated()[udp4], want)
	}
	conn, err := conntrack.Dial(&netlink.Config{NetNS: l.Router.FD()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	entries, err := conn.Dump(nil)
	if err != nil {
		t.Fatal(err)
	}
	met := map[any]bool{}
	for _, e := range entries {
		if e.TupleOrig.Proto.Protocol == unix.IPPROTO_UDP {
			met[[2]any{
				e.TupleOrig.IP.SourceAddress, e.TupleOrig.Proto.SourcePort,
			}] = e.CountersOrig.Bytes == 68
		}
	}
	if len(met) != flows {
		t.Errorf("%d entries", len(met))
	}
	for i := first; i < first+flows; i++ {
		if s := FloodSource(i); !met[[2]any{s.Addr(), s.Port()}] {
			t.Fatalf("flow %d from %v is not there", i, s)
		}
	}
}

func TestFloodRefuses(t *testing.T) {
	for _, f := range []FloodFlow{
		{Flows: -1}, {First: -1}, {Flows: 1, First: floodMost}, {Flows: 1, Size: -1}, {Flows: 1,
			Size: unbroken + 1},
	} {
		if (&Lab{}).Flood(t.Context(), f) == nil {
			t.Errorf("%+v is sent", f)
		}
	}
}
