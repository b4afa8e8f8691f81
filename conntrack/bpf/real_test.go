//go:build amd64 || arm64 || riscv64

package bpf

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/mdlayher/netlink"
	timo "github.com/ti-mo/conntrack"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// patience bounds operations that take a moment on any machine.
const patience = 10 * time.Minute

// needBPF is set where the tests must not be skipped: CONNTALLY_BPF=need.
func needBPF() bool { return os.Getenv("CONNTALLY_BPF") == "need" }

// twin is a router whose ends are read twice: by netlink's events, and by a Source on one step.
type twin struct {
	*lab.Lab
	t      testing.TB
	ctx    context.Context
	events *ctnetlink.Reader
	source *Source
	oracle *timo.Conn

	byNetlink, byBPF map[conntrack.Key]conntrack.Event
	twice            int // ends that one of them has reported again
}

// eachStep runs a test on each step that this kernel allows.
func eachStep(t *testing.T, events int, sysctls map[string]string, test func(w *twin)) {
	eachStepWith(t, SourceOptions{Ring: events * eventBytes}, sysctls, test)
}

func eachStepWith(
	t *testing.T, o SourceOptions, sysctls map[string]string, test func(w *twin),
) {
	for _, step := range Steps() {
		t.Run(string(step), func(t *testing.T) { test(newTwin(t, step, o, sysctls)) })
	}
}

func newTwin(t testing.TB, step Step, o SourceOptions, sysctls map[string]string) *twin {
	t.Helper()
	w := newRouter(t, sysctls)
	o.BPF, o.Steps = true, []Step{step}
	w.source = NewSource(w.reader(1<<20), o, conntrack.SystemClock())
	t.Cleanup(w.source.closeEnds)
	err := w.Router.Do(func() error { return w.source.Attach(func(*conntrack.Event) {}) })
	// Linux 6.1 can't read in place, and Debian's has no kprobe.multi.
	optional := step == Fentry || step == KprobeMulti
	if err != nil && needBPF() && (!optional || !errors.Is(err, ebpf.ErrNotSupported)) {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
	if w.source.Step() != step {
		t.Fatalf("step %q", w.source.Step())
	}
	w.must(w.events.Wait(0, func(*conntrack.Event) {})) // the ends of test connections
	return w
}

// newRouter returns a twin without a source.
func newRouter(t testing.TB, sysctls map[string]string) *twin {
	t.Helper()
	all := map[string]string{
		"net/netfilter/nf_conntrack_acct":              "1",
		"net/netfilter/nf_conntrack_timestamp":         "1",
		"net/netfilter/nf_conntrack_events":            "1",
		"net/netfilter/nf_conntrack_icmp_timeout":      "600",
		"net/netfilter/nf_conntrack_icmpv6_timeout":    "600",
		"net/netfilter/nf_conntrack_udp_timeout":       "600",
		"net/netfilter/nf_conntrack_tcp_timeout_close": "600",
	}
	for name, value := range sysctls {
		all["net/netfilter/nf_conntrack_"+name] = value
	}
	l := labtest.New(t, lab.Options{Sysctls: all})
	w := &twin{
		Lab: l, t: t, byNetlink: map[conntrack.Key]conntrack.Event{},
		byBPF: map[conntrack.Key]conntrack.Event{},
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	w.ctx = ctx
	w.events = w.reader(64 << 20)
	var err error
	w.oracle, err = timo.Dial(&netlink.Config{NetNS: l.Router.FD()})
	w.must(err)
	t.Cleanup(func() { w.oracle.Close() })
	return w
}

func (w *twin) reader(buffer int) *ctnetlink.Reader {
	r, err := ctnetlink.Open(ctnetlink.Options{NetNS: w.Router.FD(), ReceiveBuffer: buffer},
		conntrack.SystemClock())
	w.must(err)
	w.t.Cleanup(func() { r.Close() })
	return r
}

func (w *twin) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// read reads what both have.
func (w *twin) read(wait time.Duration) {
	w.t.Helper()
	w.must(w.events.Wait(wait, w.take(w.byNetlink)))
	w.must(w.source.Wait(wait, w.take(w.byBPF)))
}

// take returns a function that keeps the ends among events, those of markers left out.
func (w *twin) take(into map[conntrack.Key]conntrack.Event) func(*conntrack.Event) {
	return func(e *conntrack.Event) {
		if e.Type != conntrack.Destroy || e.Orig.Src.IsLoopback() {
			return
		}
		end := *e
		end.ID = idOf(e)
		if _, again := into[end.Key()]; again {
			w.twice++
		}
		into[end.Key()] = end
	}
}

// await reads until both have n ends.
func (w *twin) await(n int) {
	w.t.Helper()
	for len(w.byNetlink) < n || len(w.byBPF) < n {
		if w.ctx.Err() != nil {
			w.t.Fatalf("netlink reported %d ends and bpf %d of %d", len(w.byNetlink),
				len(w.byBPF), n)
		}
		w.read(100 * time.Millisecond)
	}
	w.read(100 * time.Millisecond)
}

// stopSlack is how far the time at which an entry has expired may be off: ticks come late where a
// machine is emulated.
const stopSlack = time.Second

// same requires both to have reported the same, n ends at least.
func (w *twin) same(n int) {
	w.t.Helper()
	if len(w.byNetlink) < n || len(w.byBPF) != len(w.byNetlink) || w.twice != 0 {
		w.t.Errorf("netlink reported %d ends, bpf %d, want %d; %d twice", len(w.byNetlink),
			len(w.byBPF), n, w.twice)
	}
	if lost := w.source.Lost() + w.events.Lost(); lost != 0 {
		w.t.Errorf("%d lost", lost)
	}
	wrong := 0
	for key, want := range w.byNetlink {
		got, found := w.byBPF[key]
		if !found {
			w.t.Errorf("bpf did not report %+v", want)
			continue
		}
		// Entries' memory is freed a little later than they are deleted.
		if got.HasTimeout && want.Timeout-got.Timeout == 1 {
			got.Timeout++
		}
		want.At, want.Portid, want.First, want.Once = got.At, 0, got.First, got.Once
		// A walk computes when an entry has expired, from a clock that ticks.
		if d := time.Duration(got.Stop - want.Stop); -stopSlack < d && d < stopSlack {
			got.Stop = want.Stop
		}
		if got != want {
			if wrong++; wrong < 5 {
				w.t.Errorf("bpf     %+v\nnetlink %+v", got, want)
			}
		}
	}
	w.t.Logf("%d ends equal, %d differ", len(w.byNetlink)-wrong, wrong)
}

// invent makes entries without traffic: other protocols, zones, marks. It returns how many.
func (w *twin) invent() (n int) {
	w.t.Helper()
	v4, v6 := [2]string{"192.0.2.1", "192.0.2.2"}, [2]string{"2001:db8::1", "2001:db8::2"}
	for _, c := range []struct {
		proto  uint8
		ends   [2]string
		change func(*timo.Flow)
	}{
		{conntrack.ProtoSCTP, v4, nil},
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
		w.must(w.oracle.Create(f))
		n++
	}
	return n
}

// TestRealDeleted: bpf reports the same as netlink of entries that a program deletes.
func TestRealDeleted(t *testing.T) {
	eachStep(t, 1000, nil, func(w *twin) {
		labtest.EachKind(w.ctx, w.t, w.Lab)
		n := w.invent()
		w.must(w.oracle.Flush())
		w.await(n + 12)
		w.same(n + 12)
	})
}

// TestRealExpired: the same of entries that expire. A walk reports their ends; when the kernel evicts
// them, later, their ends are known. That holds without time stamps, and for those that have the same
// place in memory, later.
func TestRealExpired(t *testing.T) {
	for _, stamps := range []string{"1", "0"} {
		t.Run("timestamp="+stamps, func(t *testing.T) {
			eachStep(t, 10_000, map[string]string{"udp_timeout": "1", "timestamp": stamps},
				func(w *twin) { w.expire(2000); w.expire(2000) })
		})
	}
}

// expire makes flows, and requires that their ends are reported as soon as they have expired.
func (w *twin) expire(flows int) {
	w.t.Helper()
	w.must(w.source.WalkError())
	clear(w.byBPF)
	clear(w.byNetlink)
	w.must(w.Flood(w.ctx, lab.FloodFlow{Flows: flows, Size: 100}))
	take := w.take(w.byBPF)
	for len(w.byBPF) < flows {
		if w.ctx.Err() != nil {
			w.t.Fatalf("bpf reported %d ends of %d and lost %d, netlink %d; walks: %v", len(w.byBPF),
				flows, w.source.Lost(), len(w.byNetlink), w.source.WalkError())
		}
		w.inside(func() error { return w.source.Dump(take) })
		w.must(w.source.Wait(100*time.Millisecond, take))
	}
	w.must(w.events.Wait(0, w.take(w.byNetlink)))
	byWalk := flows - len(w.byNetlink)
	w.must(w.events.Dump(w.take(w.byNetlink))) // evicts them
	w.await(flows)
	w.same(flows)
	w.t.Log(byWalk, "ends reported before the kernel evicted their entries")
}

// TestRealHeld: the same of entries whose memory the kernel keeps for others' sake, and frees later.
// bpf says that nobody reported their ends before.
func TestRealHeld(t *testing.T) {
	eachStep(t, 1000, nil, func(w *twin) {
		for range 10 {
			w.must(w.UDP(w.ctx, lab.UDPFlow{
				Family: unix.AF_INET, Packets: 2, Size: 100, Answered: true,
			}))
		}
		n := labtest.Orphan(w.t, w.Router)
		w.must(w.events.Wait(time.Second, w.take(w.byNetlink)))
		w.must(w.source.Wait(0, w.take(w.byBPF)))
		if n < 10 || len(w.byNetlink) != n || len(w.byBPF) != 0 {
			w.t.Errorf("netlink reported %d ends and bpf %d, of %d", len(w.byNetlink), len(w.byBPF), n)
		}
		w.must(w.oracle.Flush())
		w.await(2 * n)
		w.same(2 * n)
		for _, e := range w.byBPF {
			if !e.Once {
				w.t.Errorf("not said to come once: %+v", e)
			}
		}
	})
}

// TestRealReplaced: the same of connections that are opened again from the same port.
func TestRealReplaced(t *testing.T) {
	eachStep(t, 1000, nil, func(w *twin) {
		for range 3 {
			_, err := w.TCP(w.ctx, lab.TCPFlow{
				Family: unix.AF_INET6, SourcePort: 45678, End: lab.RST})
			w.must(err)
		}
		w.await(2)
		w.must(w.oracle.Flush())
		w.await(3)
		w.same(3)
	})
}

// TestRealEarlyDrop: the same of entries that the kernel evicts from a full table. That changes the
// whole machine's table, so it is for a guest.
func TestRealEarlyDrop(t *testing.T) {
	if os.Getenv("CONNTALLY_GUEST") == "" {
		t.Skip("for a virtual machine: CONNTALLY_GUEST=1")
	}
	const room, flows = 1024, 3000
	undo, err := lab.Resize(room) // the kernel looks for a victim in eight buckets
	if err != nil {
		t.Fatal(err)
	}
	defer undo() //nolint:errcheck // the machine is given up
	const path = "/proc/sys/net/netfilter/nf_conntrack_max"
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer os.WriteFile(path, was, 0) //nolint:errcheck // as above
	if err := os.WriteFile(path, []byte(strconv.Itoa(room)), 0); err != nil {
		t.Fatal(err)
	}
	eachStep(t, 10_000, nil, func(w *twin) {
		w.must(w.Flood(w.ctx, lab.FloodFlow{Flows: flows, Size: 100}))
		w.await(flows - room)
		evicted := len(w.byBPF)
		w.must(w.oracle.Flush())
		w.await(flows)
		w.same(flows)
		w.t.Logf("%d evicted", evicted)
	})
}

// TestRealRingFull: what finds no room is counted, to the record.
func TestRealRingFull(t *testing.T) {
	const entries = 1000
	eachStep(t, 0, nil, func(w *twin) {
		w.must(w.Router.Fill(0, entries))
		w.must(w.oracle.Flush())
		w.read(0)
		for w.ctx.Err() == nil && len(w.byNetlink) < entries {
			w.read(100 * time.Millisecond)
		}
		lost, got := w.source.Lost(), len(w.byBPF)
		if lost == 0 || int(lost)+got != entries || len(w.byNetlink) != entries {
			t.Errorf("%d read and %d lost, want %d in all", got, lost, entries)
		}
		t.Logf("%d read, %d lost", got, lost)
	})
}

// TestRealOtherNamespace: the ends of another network namespace, also of one that goes away, are
// not reported.
func TestRealOtherNamespace(t *testing.T) {
	eachStep(t, 1000, nil, func(w *twin) {
		other, err := lab.New(lab.Options{})
		w.must(err)
		w.must(other.Router.Fill(0, 100))
		w.must(other.Router.Flush())
		w.must(other.Router.Fill(0, 100))
		w.must(other.Close())
		w.must(w.Router.Fill(0, 10))
		w.must(w.oracle.Flush())
		w.await(10)
		time.Sleep(time.Second) // the namespace's end is another thread's work
		w.read(0)
		w.same(10)
	})
}

// TestRealFirstPackets: what is known of the packet that began a connection is how it passed the
// router, where routes don't tell either.
func TestRealFirstPackets(t *testing.T) {
	eachStep(t, 1000, nil, func(w *twin) {
		ways := labtest.Ways(t, w.Lab, needBPF())
		w.must(w.oracle.Flush())
		seen := map[uint16]conntrack.FirstPacket{}
		for {
			for _, e := range w.byBPF {
				seen[e.Orig.DstPort] = e.First
			}
			if !slices.ContainsFunc(ways, func(way labtest.Way) bool {
				_, found := seen[way.Port]
				return !found
			}) {
				break
			}
			w.must(w.ctx.Err())
			w.read(100 * time.Millisecond)
		}
		for _, way := range ways {
			want := conntrack.FirstPacket{
				Known: true, Input: way.Input, Output: way.Output, MAC: way.MAC, ToS: way.ToS,
			}
			if got := seen[way.Port]; got != want {
				w.t.Errorf("%s: %+v\nwant %+v", way.Name, got, want)
			}
		}
		w.t.Logf("%d ways", len(ways))
		w.counted()
	})
}

// counted requires that it is counted of how many ends the first packet was seen.
func (w *twin) counted() {
	w.t.Helper()
	known := 0
	for _, e := range w.byBPF {
		if e.First.Known {
			known++
		}
	}
	stats := &w.source.Stats
	if got, not := stats.FirstPackets.Load(), stats.FirstUnknown.Load(); got != uint64(known) ||
		not != uint64(len(w.byBPF)-known) {
		w.t.Errorf("%d counted as seen and %d as not seen, of %d ends with %d", got, not,
			len(w.byBPF), known)
	}
}

// TestRealFirstPacketUnknown: of entries that no packet began, and of more connections than there
// is room for; all are counted, and of those that are known everything is right.
func TestRealFirstPacketUnknown(t *testing.T) {
	const flows, room = 3000, 1024
	eachStepWith(t, SourceOptions{Ring: 1 << 20, Connections: room}, nil, func(w *twin) {
		made := w.invent()
		w.must(w.Flood(w.ctx, lab.FloodFlow{Flows: flows, Size: 100}))
		w.must(w.oracle.Flush())
		w.await(made + flows)
		w.counted()
		known := 0
		for _, e := range w.byBPF {
			switch first := &e.First; {
			case !first.Known:
				if *first != (conntrack.FirstPacket{}) {
					w.t.Errorf("not seen, but %+v", *first)
				}
			case e.Orig.Proto != conntrack.ProtoUDP || first.Input != 3 || first.Output != 4:
				w.t.Errorf("%+v of %+v", *first, e.Orig)
			default:
				known++
			}
		}
		if known == 0 || known > room {
			w.t.Errorf("%d of %d first packets are known, there is room for %d", known, flows, room)
		}
		w.t.Logf("%d of %d known", known, flows)
	})
}
