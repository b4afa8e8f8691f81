package flow

import (
	"testing"

	"github.com/conntally/conntally/conntrack"
)

// TestZonesAreSeparateFlows has one tuple live in every combination of zones at once: each is
// a flow of its own, with its zones in its records, those of the reply direction the other way
// round.
func TestZonesAreSeparateFlows(t *testing.T) {
	for _, view := range []View{Endpoints, Wire} {
		o := testOptions()
		o.NAT = view
		h := running(t, o)
		var entries []*conntrack.Event
		for zone := range uint16(3) {
			for reply := range uint16(3) {
				e := h.entry(conntrack.ProtoUDP)
				e.Zone, e.ReplyZone = zone, reply
				for range 1 + 3*zone + reply {
					moves(e)
				}
				entries = append(entries, e)
			}
		}
		h.dump(entries...)
		for _, e := range entries {
			h.expire(e, h.now.Wall)
		}
		records := h.take()
		if len(records) != 2*len(entries) {
			t.Fatalf("%d records of %d flows", len(records), len(entries))
		}
		for _, r := range records {
			in, out, each := r.InputZone, r.OutputZone, uint64(100)
			if r.SrcPort == 443 { // the reply direction
				in, out, each = out, in, 1000
			}
			if want := each * uint64(1+3*in+out); r.Bytes != want {
				t.Errorf("%d bytes, want %d: %+v", r.Bytes, want, r)
			}
		}
	}
}
