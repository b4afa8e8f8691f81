package ctnetlink_test

import (
	"cmp"
	"testing"

	timo "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
)

// TestRealDump compares every field of every entry with what ti-mo/conntrack
// reads.
func TestRealDump(t *testing.T) {
	r := newReal(t)
	labtest.EachKind(r.ctx, t, r.Lab)
	invented := r.invent()
	ours := r.dump()
	theirs, err := r.oracle.Dump(nil)
	must(t, err)
	if len(ours) != len(theirs) || len(ours) < invented+14 {
		t.Errorf("%d entries, oracle %d", len(ours), len(theirs))
	}
	for _, f := range theirs {
		want := eventOf(&f)
		got, found := ours[want.Key()]
		if !found {
			t.Errorf("entry is missing: %+v", want)
			continue
		}
		compare(t, got, want)
	}
}

// compare allows for a second between the two dumps.
func compare(t *testing.T, got, want conntrack.Event) {
	t.Helper()
	if got.Timeout == want.Timeout+1 {
		got.Timeout--
	}
	if got.At == (conntrack.Timestamp{}) {
		t.Error("an entry without At")
	}
	got.At = want.At
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// eventOf converts f to an Event.
func eventOf(f *timo.Flow) conntrack.Event {
	e := conntrack.Event{
		Type: conntrack.Dump, ID: f.ID, Mark: f.Mark, Status: conntrack.Status(f.Status.Value),
		Zone: cmp.Or(f.Zone, f.TupleOrig.Zone), ReplyZone: cmp.Or(f.Zone, f.TupleReply.Zone),
		Orig: tupleOf(&f.TupleOrig), Reply: tupleOf(&f.TupleReply),
		Counted: true, // in a lab all is
		Counters: [2]conntrack.Counters{
			{Packets: f.CountersOrig.Packets, Bytes: f.CountersOrig.Bytes},
			{Packets: f.CountersReply.Packets, Bytes: f.CountersReply.Bytes},
		},
		Start: f.Timestamp.Start.UnixNano(), Timeout: f.Timeout, HasTimeout: true,
	}
	switch {
	case f.ProtoInfo.TCP != nil:
		e.State = f.ProtoInfo.TCP.State
		// ti-mo reads flags and mask as one number.
		e.TCPFlags[0] = conntrack.TCPFlags(f.ProtoInfo.TCP.OriginalFlags >> 8)
		e.TCPFlags[1] = conntrack.TCPFlags(f.ProtoInfo.TCP.ReplyFlags >> 8)
	case f.ProtoInfo.SCTP != nil:
		e.State = f.ProtoInfo.SCTP.State
	}
	return e
}

func tupleOf(f *timo.Tuple) conntrack.Tuple {
	t := conntrack.Tuple{
		Src:     conntrack.AddrFrom(f.IP.SourceAddress),
		Dst:     conntrack.AddrFrom(f.IP.DestinationAddress),
		SrcPort: f.Proto.SourcePort, DstPort: f.Proto.DestinationPort,
		Family: unix.AF_INET, Proto: f.Proto.Protocol,
	}
	if f.IP.IsIPv6() {
		t.Family = unix.AF_INET6
	}
	if f.Proto.ICMPv4 || f.Proto.ICMPv6 {
		t.SrcPort = f.Proto.ICMPID
		t.DstPort = uint16(f.Proto.ICMPType)<<8 | uint16(f.Proto.ICMPCode)
	}
	return t
}
