package ctnetlink_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
)

// TestRealDeleted lets another program delete all entries: their ends have the values of the last
// dump, and the program's port id.
func TestRealDeleted(t *testing.T) {
	r := newReal(t)
	labtest.EachKind(r.ctx, t, r.Lab)
	r.invent()
	last := r.dump()
	program := r.dial()
	for _, e := range last {
		if e.Zone == 0 && e.ReplyZone == 0 { // others need more than their tuple
			r.remove(program, e)
		}
	}
	must(t, r.oracle.Flush())
	ends := r.await(len(last))
	for key, before := range last {
		end, found := ends[key]
		if !found {
			t.Errorf("no end of %+v", before)
			continue
		}
		isEndOf(t, end, before)
		if byProgram := end.Portid == program.PID(); byProgram != (before.Zone == 0 &&
			before.ReplyZone == 0) || end.Portid == 0 {
			t.Errorf("deleted by %d, program is %d: %+v", end.Portid, program.PID(), end)
		}
		if !end.HasTimeout || end.Timeout == 0 || end.Timeout > before.Timeout {
			t.Errorf("timeout %v %d, before %d", end.HasTimeout, end.Timeout, before.Timeout)
		}
	}
}

// isEndOf compares all values that have not changed since the last dump.
func isEndOf(t *testing.T, end, before conntrack.Event) {
	t.Helper()
	if end.Start == 0 || end.Stop < end.Start {
		t.Errorf("start %d, stop %d", end.Start, end.Stop)
	}
	want := before
	want.TCPFlags = [2]conntrack.TCPFlags{} // an end has no flags
	want.Type, want.Status = conntrack.Destroy, before.Status|conntrack.Dying
	want.At, want.Stop, want.Portid = end.At, end.Stop, end.Portid
	want.Timeout, want.HasTimeout = end.Timeout, end.HasTimeout
	if end != want {
		t.Errorf("got  %+v\nwant %+v", end, want)
	}
}

// TestRealExpired waits until an entry has timed out: the next dump evicts it.
func TestRealExpired(t *testing.T) {
	r := newReal(t)
	must(t, r.Router.Sysctl("net/netfilter/nf_conntrack_udp_timeout", "1"))
	must(t, r.UDP(r.ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 5, Size: 100}))
	var end conntrack.Event
	note := func(e *conntrack.Event) {
		if e.Type == conntrack.Destroy && e.Orig.Proto == conntrack.ProtoUDP &&
			e.Orig.DstPort == lab.PortSilent {
			end = *e
		}
	}
	for end.Type == 0 {
		must(t, r.ctx.Err())
		must(t, r.reader.Wait(100*time.Millisecond, note))
		must(t, r.reader.Dump(note))
	}
	if end.HasTimeout || end.Portid != 0 {
		t.Errorf("timeout %v, port id %d", end.HasTimeout, end.Portid)
	}
	// Both are the kernel's time stamps, which advance by jiffies.
	if life := time.Duration(end.Stop - end.Start); life < 980*time.Millisecond {
		t.Errorf("lived for %v, its timeout was 1s", life)
	}
	want := [2]conntrack.Counters{{Packets: 5, Bytes: 5 * 128}, {}}
	if end.Counters != want {
		t.Errorf("counters %+v", end.Counters)
	}
}

// TestRealReplaced re-opens a connection that was reset, from the same port: the
// kernel itself removes the old entry.
func TestRealReplaced(t *testing.T) {
	r := newReal(t)
	flow := lab.TCPFlow{Family: unix.AF_INET6, SourcePort: 45678, End: lab.RST}
	for range 2 {
		_, err := r.TCP(r.ctx, flow)
		must(t, err)
	}
	for _, end := range r.await(1) {
		if !end.HasTimeout || end.Portid != 0 || end.State != conntrack.TCPClose ||
			end.Orig.SrcPort != 45678 {
			t.Errorf("%+v", end)
		}
	}
}

// TestRealGrows proves that an end has the final counters, including packets after the last dump.
func TestRealGrows(t *testing.T) {
	r := newReal(t)
	conn, err := r.TCP(r.ctx,
		lab.TCPFlow{Family: unix.AF_INET, Up: 1000, Down: 1000, End: lab.Open})
	must(t, err)
	_, err = r.Settle(r.ctx)
	must(t, err)
	last := r.dump()
	must(t, conn.Send(r.ctx, 5000, 100))
	must(t, conn.Reset())
	_, err = r.Settle(r.ctx)
	must(t, err)
	must(t, r.oracle.Flush())
	for key, end := range r.await(1) {
		before, known := last[key]
		if !known || end.Orig.Proto != conntrack.ProtoTCP {
			t.Errorf("%+v was in no dump", end)
		}
		if more := end.Counters[0].Bytes - before.Counters[0].Bytes; more < 5000 || more > 10000 {
			t.Errorf("%d bytes more than in the last dump", more)
		}
		if end.Counters[1].Bytes < before.Counters[1].Bytes+100 || end.State != conntrack.TCPClose {
			t.Errorf("%+v", end)
		}
	}
}
