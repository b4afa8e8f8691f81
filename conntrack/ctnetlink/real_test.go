package ctnetlink_test

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	timo "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// patience bounds operations that take a moment on any machine.
const patience = 30 * time.Second

// realKernel is a router that tracks connections, and two readers of it: a Reader and ti-mo's.
type realKernel struct {
	*lab.Lab
	t      *testing.T
	ctx    context.Context
	reader *ctnetlink.Reader
	oracle *timo.Conn
}

// newReal builds a lab in which every entry is counted and none expires by itself.
func newReal(t *testing.T) *realKernel {
	t.Helper()
	labtest.Need(t)
	l, err := lab.New(lab.Options{Sysctls: map[string]string{
		"net/netfilter/nf_conntrack_acct":              "1",
		"net/netfilter/nf_conntrack_timestamp":         "1",
		"net/netfilter/nf_conntrack_events":            "1",
		"net/netfilter/nf_conntrack_icmp_timeout":      "600",
		"net/netfilter/nf_conntrack_icmpv6_timeout":    "600",
		"net/netfilter/nf_conntrack_udp_timeout":       "600",
		"net/netfilter/nf_conntrack_tcp_timeout_close": "600",
	}})
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	r := &realKernel{Lab: l, t: t, ctx: ctx}
	r.reader, err = ctnetlink.Open(ctnetlink.Options{NetNS: l.Router.FD(), ReceiveBuffer: 1 << 20},
		conntrack.SystemClock())
	must(t, err)
	t.Cleanup(func() { must(t, r.reader.Close()) })
	r.oracle, err = timo.Dial(&netlink.Config{NetNS: l.Router.FD()})
	must(t, err)
	t.Cleanup(func() { must(t, r.oracle.Close()) })
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// dial opens a socket of another program in the router.
func (r *realKernel) dial() *netlink.Conn {
	r.t.Helper()
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: r.Router.FD()})
	must(r.t, err)
	r.t.Cleanup(func() { must(r.t, conn.Close()) })
	return conn
}

// dump returns the living entries by their identity at one time.
func (r *realKernel) dump() map[conntrack.Key]conntrack.Event {
	r.t.Helper()
	living := map[conntrack.Key]conntrack.Event{}
	must(r.t, r.reader.Dump(func(e *conntrack.Event) {
		if e.Type == conntrack.Dump {
			living[e.Key()] = *e
		}
	}))
	return living
}

// await returns the first n ends.
func (r *realKernel) await(n int) map[conntrack.Key]conntrack.Event {
	r.t.Helper()
	got := map[conntrack.Key]conntrack.Event{}
	for len(got) < n {
		must(r.t, r.ctx.Err())
		must(r.t, r.reader.Wait(time.Second, func(e *conntrack.Event) { got[e.Key()] = *e }))
	}
	return got
}

// remove deletes an entry as the program that holds conn.
func (r *realKernel) remove(conn *netlink.Conn, e conntrack.Event) {
	r.t.Helper()
	attrs := conntracktest.AppendAttributes(nil, &e)
	orig := attrs[:binary.NativeEndian.Uint16(attrs)]
	_, err := conn.Execute(netlink.Message{
		Header: netlink.Header{
			Type:  unix.NFNL_SUBSYS_CTNETLINK<<8 | 2, // IPCTNL_MSG_CT_DELETE
			Flags: netlink.Request | netlink.Acknowledge,
		},
		Data: append([]byte{e.Orig.Family, unix.NFNETLINK_V0, 0, 0}, orig...),
	})
	must(r.t, err)
}

// invent creates entries without traffic: other protocols, zones, marks.
func (r *realKernel) invent() (n int) {
	r.t.Helper()
	v4, v6 := [2]string{"192.0.2.1", "192.0.2.2"}, [2]string{"2001:db8::1", "2001:db8::2"}
	for _, c := range []struct {
		proto  uint8
		ends   [2]string
		change func(*timo.Flow)
	}{
		{conntrack.ProtoSCTP, v4, nil},
		{conntrack.ProtoSCTP, v6, nil},
		{conntrack.ProtoGRE, v4, nil},
		{conntrack.ProtoUDPLite, v6, nil},
		{99, v4, func(f *timo.Flow) { f.Mark = 0xfeedbeef }},
		{99, v6, nil},
		{conntrack.ProtoUDP, v4, func(f *timo.Flow) { f.Zone = 5 }},
		{conntrack.ProtoUDP, v4, func(f *timo.Flow) { f.Zone = 65535 }},
		{conntrack.ProtoUDP, v6, func(f *timo.Flow) { f.TupleOrig.Zone = 9 }},
		{conntrack.ProtoUDP, v6, func(f *timo.Flow) { f.TupleReply.Zone = 10 }},
		{conntrack.ProtoTCP, v4, func(f *timo.Flow) {
			f.ProtoInfo.TCP = &timo.ProtoInfoTCP{State: conntrack.TCPCloseWait}
		}},
	} {
		f := timo.NewFlow(c.proto, timo.StatusAssured|timo.StatusSeenReply|timo.StatusConfirmed,
			netip.MustParseAddr(c.ends[0]), netip.MustParseAddr(c.ends[1]), 1111, 2222, 600, 0)
		if c.change != nil {
			c.change(&f)
		}
		must(r.t, r.oracle.Create(f))
		n++
	}
	return n
}

// TestSparseDumpShowsWhatTheKernelHolds asks a real kernel for single entries of every kind, as
// they begin and end, and compares with another reader's dump.
func TestSparseDumpShowsWhatTheKernelHolds(t *testing.T) {
	r := newReal(t)
	if n, err := lab.Buckets(); err != nil || n < 1<<18 {
		t.Skipf("the kernel's table has %d buckets, too few to be sparse", n)
	}
	r.dump()
	walks := r.reader.Stats.Walks.Load()
	program := r.dial()
	compare := func(step string) {
		t.Helper()
		want, err := r.oracle.Dump(nil)
		must(t, err)
		got := r.dump()
		if len(got) != len(want) {
			t.Errorf("%s: %d entries, the kernel holds %d", step, len(got), len(want))
		}
		ids := map[uint32]bool{}
		for key := range got {
			ids[key.ID] = true
		}
		for i := range want {
			if !ids[want[i].ID] {
				t.Errorf("%s: %v is missing", step, want[i].TupleOrig)
			}
		}
	}
	compare("an empty table")
	labtest.EachKind(r.ctx, t, r.Lab)
	compare("traffic")
	r.invent()
	compare("invented entries")
	must(t, r.Router.Fill(0, 200))
	compare("many")
	i := 0
	for _, e := range r.dump() {
		if i++; i%3 == 0 && e.Zone == 0 && e.ReplyZone == 0 {
			r.remove(program, e)
		}
	}
	compare("fewer")
	must(t, r.Router.Fill(200, 50))
	compare("more again")
	must(t, r.oracle.Flush())
	compare("none")
	if n := r.reader.Stats.Walks.Load(); n != walks {
		t.Errorf("%d walks for entries that can be asked for", n-walks)
	}
}

// TestAskingAllocatesNothing proves that a dump without a walk allocates nothing once warm.
func TestAskingAllocatesNothing(t *testing.T) {
	r := newReal(t)
	buckets, err := lab.Buckets()
	if err != nil || buckets < 1<<16 {
		t.Skipf("the kernel's table has %d buckets, too few to be sparse", buckets)
	}
	r.reader.Buckets = func() int { return buckets } // not read from a file
	must(t, r.Router.Fill(0, 200))
	entries := 0
	count := func(*conntrack.Event) { entries++ }
	must(t, r.reader.Dump(count))
	walks := r.reader.Stats.Walks.Load()
	if n := testing.AllocsPerRun(20, func() {
		entries = 0
		must(t, r.reader.Dump(count))
	}); n != 0 || entries != 200 || r.reader.Stats.Walks.Load() != walks {
		t.Errorf("%v allocations for %d entries", n, entries)
	}
}
