package main

import (
	"testing"
	"time"

	ct "github.com/ti-mo/conntrack"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/export/decode"
)

const faultRounds = 4 // of each fault, each after another dump of the probe

// fault is something that happens to conntrack in the middle of traffic.
type fault struct {
	name  string
	do    func(f *faulted)
	exact bool // nothing is lost by its nature
	check func(f *faulted)
}

// faulted is a run of one fault.
type faulted struct {
	*faultRig
	other  *ct.Conn
	zeroed map[lab.Class]lab.Count // by the other program
	unseen lab.Count               // UDP over IPv4 that was sent while accounting was off
	m      metrics                 // at the end
	lost   map[lab.Class]lab.Count
	passed map[lab.Class]lab.Count // by nftables
}

var faults = []fault{
	{name: "flush", do: (*faulted).flush, exact: true},
	{name: "deletion", do: (*faulted).deleteOne, exact: true},
	{name: "zeroed counters", do: (*faulted).zero, check: (*faulted).checkZeroed},
	{name: "accounting off", do: (*faulted).unaccounted, check: (*faulted).checkUncounted},
}

// TestMixedFaultsLoseOnlyTheirOwnBytes: whatever is done to conntrack under traffic, no byte is
// counted twice, and none is lost that the fault itself does not lose.
func TestMixedFaultsLoseOnlyTheirOwnBytes(t *testing.T) {
	t.Parallel()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			runFault(t, f, "poll_interval = \"500ms\"\nmax_cpu = 100.0\n")
		})
	}
}

func runFault(t *testing.T, what fault, section string) {
	t.Helper()
	f := &faulted{faultRig: newFaultRig(t, map[string]string{
		"net/netfilter/nf_conntrack_acct":      "1",
		"net/netfilter/nf_conntrack_timestamp": "1",
		"net/netfilter/nf_conntrack_events":    "1",
	}), zeroed: map[lab.Class]lab.Count{}}
	f.other = f.faultRig.other()
	s := f.bigSink()
	p := f.faultProbe(s, section)

	var traffic errgroup.Group
	f.traffic(&traffic)
	for range faultRounds {
		f.untilMore("conntrack_dumps_total")
		what.do(f)
	}
	if err := traffic.Wait(); err != nil {
		t.Fatal(err)
	}
	want := f.settled()
	dumps := f.scrape()["conntrack_dumps_total"]
	f.m = f.untilMetrics(p, "a dump after all traffic",
		func(m metrics) bool { return m["conntrack_dumps_total"] > dumps+1 })
	f.stop(p)
	f.compare(s.all(), want, what)
}

// untilMore waits until a metric has increased.
func (f *faulted) untilMore(metric string) {
	f.t.Helper()
	for before := f.scrape()[metric]; f.scrape()[metric] == before; {
		if f.ctx.Err() != nil {
			f.t.Fatalf("%s stays %v", metric, before)
		}
	}
}

// traffic goes on for some five seconds. IPv4 is UDP that nobody answers and IPv6 is
// not translated, so all of it survives that the router forgets it.
func (f *faulted) traffic(g *errgroup.Group) {
	for i := range 6 {
		g.Go(func() error {
			_, err := f.TCP(f.ctx, lab.TCPFlow{Family: unix.AF_INET6, Up: 40_000 * i,
				Down: 1_000_000, Rate: 200_000, End: lab.FIN})
			return err
		})
		g.Go(func() error {
			return f.UDP(f.ctx, lab.UDPFlow{Family: unix.AF_INET, Packets: 500, Size: 100 + i,
				Interval: 10 * time.Millisecond})
		})
		g.Go(func() error {
			return f.UDP(f.ctx, lab.UDPFlow{Family: unix.AF_INET6, Packets: 250, Size: 200 + i,
				Answered: true, Interval: 20 * time.Millisecond})
		})
	}
}

// settled waits until all that was sent has passed the router, and returns how much of it
// conntrack has counted. A packet that conntrack calls invalid is not: after a flush a
// connection may begin with its last one.
func (f *faulted) settled() map[lab.Class]lab.Count {
	f.t.Helper()
	total := func(m map[lab.Class]lab.Count) (n uint64) {
		for _, c := range m {
			n += c.Packets
		}
		return n
	}
	for {
		sent, err := f.Sent()
		if err != nil {
			f.t.Fatal(err)
		}
		forwarded, err := f.Forwarded()
		if err != nil {
			f.t.Fatal(err)
		}
		stray, err := f.Stray()
		if err != nil {
			f.t.Fatal(err)
		}
		if total(sent) == total(forwarded)+stray.Packets {
			return forwarded
		}
		if f.ctx.Err() != nil {
			f.t.Fatalf("sent %v, forwarded %v, stray %v", sent, forwarded, stray)
		}
		time.Sleep(time.Millisecond)
	}
}

// compare compares the records with what the router forwarded.
func (f *faulted) compare(flows []decode.Flow, want map[lab.Class]lab.Count, what fault) {
	f.t.Helper()
	sums := sumFlows(flows)
	f.lost, f.passed = map[lab.Class]lab.Count{}, want
	for class, w := range want {
		got := sums[class]
		if got.Packets > w.Packets || got.Bytes > w.Bytes {
			f.t.Errorf("%v: collected %v, more than the %v that were forwarded", class, got, w)
		}
		f.lost[class] = lab.Count{Packets: w.Packets - got.Packets, Bytes: w.Bytes - got.Bytes}
		if what.exact && got != w {
			f.t.Errorf("%v: collected %v, forwarded %v", class, got, w)
		}
	}
	for i := range flows {
		class := lab.Class{Family: unix.AF_INET, Proto: flows[i].Protocol}
		if flows[i].Src.Is6() {
			class.Family = unix.AF_INET6
		}
		if w := want[class]; flows[i].Bytes > w.Bytes || flows[i].Packets > w.Packets {
			f.t.Errorf("a record of more than was ever sent: %+v", flows[i])
		}
	}
	f.t.Logf("forwarded %v, missing %v, of which zeroed %v and uncounted %v: %v", want, f.lost,
		f.zeroed, f.unseen, f.m)
	if f.m["conntrack_dropped_events_total"] != 0 || f.m["conntrack_malformed_total"] != 0 ||
		f.m["conntrack_failed_dumps_total"] != 0 {
		f.t.Error("the probe lost events or dumps")
	}
	if what.check != nil {
		what.check(f)
	}
}

func (f *faulted) flush() {
	if err := f.Router.Flush(); err != nil {
		f.t.Fatal(err)
	}
}

// deleteOne deletes a connection that is moving, as conntrack -D does.
func (f *faulted) deleteOne() {
	for _, e := range f.read(f.other) {
		if e.TupleOrig.Proto.Protocol == unix.IPPROTO_TCP && e.CountersReply.Bytes > 10_000 {
			if err := f.other.Delete(e); err != nil {
				f.t.Fatal(err)
			}
			return
		}
	}
	f.t.Error("no connection to delete")
}

// zero reads all counters and zeroes them, as conntrack -z does
// (IPCTNL_MSG_CT_GET_CTRZERO).
func (f *faulted) zero() {
	entries, err := f.other.Dump(&ct.DumpOptions{ZeroCounters: true})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, e := range entries {
		class := lab.Class{Family: unix.AF_INET, Proto: e.TupleOrig.Proto.Protocol}
		if e.TupleOrig.IP.SourceAddress.Is6() {
			class.Family = unix.AF_INET6
		}
		sum := f.zeroed[class]
		sum.Packets += e.CountersOrig.Packets + e.CountersReply.Packets
		sum.Bytes += e.CountersOrig.Bytes + e.CountersReply.Bytes
		f.zeroed[class] = sum
	}
}

// checkZeroed: only what another program has read and zeroed may be missing, and a tenth of
// what was forwarded: where an entry finds no room at the end of a datagram, the kernel has
// zeroed it already, and the next datagram shows it with 0 (ctnetlink_fill_info).
func (f *faulted) checkZeroed() {
	for class, lost := range f.lost {
		z, all := f.zeroed[class], f.passed[class]
		if lost.Packets > z.Packets+all.Packets/10 || lost.Bytes > z.Bytes+all.Bytes/10 {
			f.t.Errorf("%v: %v are missing, %v were zeroed", class, lost, z)
		}
	}
	if f.m["flows_rewound_total"] == 0 {
		f.t.Error("no metric shows that counters went down")
	}
}

// unaccounted turns accounting off for a while, in which connections begin.
func (f *faulted) unaccounted() {
	set := func(value string) {
		if err := f.Router.Sysctl("net/netfilter/nf_conntrack_acct", value); err != nil {
			f.t.Fatal(err)
		}
	}
	set("0")
	f.flood(100, 0)
	set("1")
	f.flood(100, 0) // counted
	f.unseen.Packets += 100
	f.unseen.Bytes += 100 * faultBytes
}

// checkUncounted: exactly the connections that began without accounting are missing.
func (f *faulted) checkUncounted() {
	for class, lost := range f.lost {
		want := lab.Count{}
		if class == udp4() {
			want = f.unseen
		}
		if lost != want {
			f.t.Errorf("%v: %v are missing, %v were sent without accounting", class, lost, want)
		}
	}
	if f.m["flows_uncounted_total"] == 0 {
		f.t.Error("no metric shows that connections have no counters")
	}
}

// TestResizedTableLosesNothing: the kernel's table is resized during dumps. No other test of
// this package runs at the same time.
func TestResizedTableLosesNothing(t *testing.T) {
	if err := lab.Available(); err != nil {
		t.Skip(err)
	}
	if err := lab.Resizable(); err != nil {
		t.Skipf("only the machine's own network namespace may resize the table: %v", err)
	}
	buckets, err := lab.Buckets()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := lab.Resize(buckets); err != nil {
			t.Error(err)
		}
	})
	filled, now := false, buckets
	resize := fault{name: "resize", exact: true, do: func(f *faulted) {
		if !filled { // for dumps that last
			if err := f.Router.Fill(0, 20_000); err != nil {
				f.t.Fatal(err)
			}
			filled = true
		}
		for range 3 {
			f.untilMore("conntrack_dump_entries_total") // a dump goes on
			now = buckets + buckets/2 - now             // to the half, and back
			if _, err := lab.Resize(now); err != nil {
				f.t.Fatal(err)
			}
			// A second resize of the same dump would undo the first, which nothing would show.
			f.untilMore("conntrack_dumps_total")
		}
	}, check: func(f *faulted) {
		if f.m["conntrack_discarded_dumps_total"] == 0 {
			f.t.Log("no resize fell into a dump")
		}
	}}
	runFault(t, resize, "poll_interval = \"100ms\"\nmax_cpu = 100.0\n")
}
