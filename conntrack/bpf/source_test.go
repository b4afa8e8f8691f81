//go:build amd64 || arm64 || riscv64

package bpf

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/internal/poll"
)

// fakeEnds is a program that reports what put is told.
type fakeEnds struct {
	ends
	kernel *fakeRing
	lost   atomic.Uint64
	skips  uint64
	closed bool
	bell   int // becomes readable
}

func newFakeEnds(t testing.TB) *fakeEnds {
	t.Helper()
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	p, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); unix.Close(pipe[0]); unix.Close(pipe[1]) })
	f := &fakeEnds{kernel: newFakeRing(1 << 16), bell: pipe[1]}
	f.ends = ends{
		step: Fentry, ring: f.kernel.ring, lost: &f.lost, fd: pipe[0], poller: p,
		missed: func() uint64 { return f.skips }, close: func() { f.closed = true },
	}
	return f
}

func (f *fakeEnds) put(t *testing.T, name string) {
	t.Helper()
	r := golden(t)[name]
	f.kernel.put(r.bytes(), 0)
	if _, err := unix.Write(f.bell, []byte{0}); err != nil {
		t.Error(err)
	}
}

// rig is a Source of a fake kernel, with a fake program.
type rig struct {
	*Source
	k    *conntracktest.Kernel
	fake *fakeEnds
	err  error // of attaching
	seen []conntrack.Event
}

func newRig(t *testing.T) *rig {
	k := conntracktest.New()
	r := &rig{k: k, fake: newFakeEnds(t)}
	r.Source = NewSource(k.Reader(), SourceOptions{BPF: true}, k.Clock())
	r.attach = func() (*ends, error) {
		if r.err != nil {
			return nil, r.err
		}
		return &r.fake.ends, nil
	}
	return r
}

func (r *rig) note(e *conntrack.Event) { r.seen = append(r.seen, *e) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func entry() conntrack.Event {
	orig := conntrack.Tuple{
		Src: addr("192.0.2.1"), Dst: addr("192.0.2.2"), SrcPort: 1, DstPort: 2,
		Family: unix.AF_INET, Proto: conntrack.ProtoUDP,
	}
	reply := orig
	reply.Src, reply.Dst, reply.SrcPort, reply.DstPort = orig.Dst, orig.Src, 2, 1
	return conntrack.Event{ID: 77, Orig: orig, Reply: reply, Counted: true, Start: 5}
}

// TestOneKeyByEitherSource: an entry has the same Key in a dump, at its end by netlink and by eBPF.
func TestOneKeyByEitherSource(t *testing.T) {
	r := newRig(t)
	var own conntrack.Event
	record := golden(t)["tcp4"]
	if !record.read(hz, &own) {
		t.Fatal("no record")
	}
	own.ID = 1234 // CTA_ID
	key := r.k.Create(own)
	must(t, r.Dump(r.note))
	r.k.Destroy(key)
	must(t, r.Wait(0, r.note))
	must(t, r.Attach(r.note))
	r.fake.put(t, "tcp4")
	must(t, r.Wait(0, r.note))
	if len(r.seen) != 3 {
		t.Fatalf("%d events", len(r.seen))
	}
	for _, e := range r.seen {
		if e.Key() != r.seen[0].Key() || e.ID == own.ID {
			t.Errorf("key %+v, want %+v", e.Key(), r.seen[0].Key())
		}
	}
}

// TestWithoutBPFIDsAreTheKernels: a Source of netlink alone changes no event.
func TestWithoutBPFIDsAreTheKernels(t *testing.T) {
	k := conntracktest.New()
	s := NewSource(k.Reader(), SourceOptions{}, k.Clock())
	key := k.Create(entry())
	var got []uint32
	note := func(e *conntrack.Event) { got = append(got, e.ID) }
	must(t, s.Dump(note))
	k.Destroy(key)
	must(t, s.Wait(0, note))
	if !slices.Equal(got, []uint32{77, 77}) || !s.Final() || s.Attach(note) != nil ||
		s.Step() != Netlink {
		t.Errorf("IDs %v", got)
	}
}

// TestAttachLosesNothing: what netlink had queued is read, and then eBPF's.
func TestAttachLosesNothing(t *testing.T) {
	r := newRig(t)
	e := entry()
	r.k.Destroy(r.k.Create(e))
	r.fake.put(t, "udp6")
	must(t, r.Attach(r.note))
	must(t, r.Wait(0, r.note))
	if len(r.seen) != 2 || r.seen[0].Orig != e.Orig || r.seen[1].Orig.Family != unix.AF_INET6 {
		t.Errorf("%+v", r.seen)
	}
	if n := r.Stats.Destroys.Load(); n != 2 || r.Step() != Fentry {
		t.Errorf("%d ends counted, step %q", n, r.Step())
	}
}

// TestReopenedSourceIsAttachedAgain: netlink reports ends until then.
func TestReopenedSourceIsAttachedAgain(t *testing.T) {
	labtest.EnterNamespace(t) // Reopen subscribes to the real kernel
	r := newRig(t)
	must(t, r.Attach(r.note))
	must(t, r.Reopen())
	if r.Step() != Netlink || r.Final() {
		t.Errorf("step %q, final %v", r.Step(), r.Final())
	}
	must(t, r.Attach(r.note))
	r.fake.put(t, "udp6")
	must(t, r.Wait(0, r.note))
	if len(r.seen) != 1 || r.Step() != Fentry || !r.Final() {
		t.Errorf("%d ends, step %q, final %v", len(r.seen), r.Step(), r.Final())
	}
}

// TestAttachIsTriedAgainOnlyIfItMayWork: later, but not where the kernel can't.
func TestAttachIsTriedAgainOnlyIfItMayWork(t *testing.T) {
	for _, c := range []struct {
		err   error
		final bool
	}{{ErrNotLoaded, false}, {ErrNotTracked, false}, {ErrNoBTF, true}, {ErrRights, true}} {
		r := newRig(t)
		r.err = c.err
		if err := r.Attach(r.note); !errors.Is(err, c.err) || r.Final() != c.final ||
			r.Step() != Netlink {
			t.Errorf("%v: %v, final %v", c.err, err, r.Final())
		}
		r.err = nil
		must(t, r.Attach(r.note))
		if attached := r.Step() != Netlink; attached == c.final {
			t.Errorf("%v: attached later: %v", c.err, attached)
		}
		if c.final {
			r.k.Destroy(r.k.Create(entry()))
			must(t, r.Wait(0, r.note))
			if len(r.seen) != 1 {
				t.Errorf("%v: netlink reported %d ends", c.err, len(r.seen))
			}
		}
	}
}

// TestLossIsCountedOnce: ends without room, and times that the kernel skipped the program.
func TestLossIsCountedOnce(t *testing.T) {
	r := newRig(t)
	must(t, r.Attach(r.note))
	r.fake.lost.Store(5)
	r.fake.skips = 2
	for range 3 {
		must(t, r.Wait(0, r.note))
	}
	if n := r.Lost(); n != 5 {
		t.Errorf("%d lost, want 5", n)
	}
	for range 3 {
		must(t, r.Dump(r.note)) // asks for what was skipped
	}
	r.fake.lost.Store(6)
	must(t, r.Wait(0, r.note))
	if n := r.Lost(); n != 8 {
		t.Errorf("%d lost, want 8", n)
	}
}

// TestDumpReadsEndsInBetween: each chunk evicts what has expired.
func TestDumpReadsEndsInBetween(t *testing.T) {
	r := newRig(t)
	must(t, r.Attach(r.note))
	for i := range 1000 {
		e := entry()
		e.Orig.SrcPort, e.Reply.DstPort = uint16(i), uint16(i)
		r.k.Create(e)
	}
	chunks := 0
	r.OnChunk = func() {
		if chunks++; chunks == 1 {
			r.fake.put(t, "tcp4")
		}
	}
	must(t, r.Dump(r.note))
	at := slices.IndexFunc(r.seen, func(e conntrack.Event) bool {
		return e.Type == conntrack.Destroy
	})
	if len(r.seen) != 1001 || at <= 0 || at >= 1000 {
		t.Errorf("%d events, the end is number %d", len(r.seen), at)
	}
}

// TestWaitReturnsOnInterruptAndOnArrival: a wait of an hour ends.
func TestWaitReturnsOnInterruptAndOnArrival(t *testing.T) {
	r := newRig(t)
	must(t, r.Attach(r.note))
	must(t, r.Wait(time.Hour, r.note)) // Attach interrupts, in case that somebody else has
	r.Interrupt()
	must(t, r.Wait(time.Hour, r.note))
	time.AfterFunc(0, func() { r.fake.put(t, "udp6") })
	must(t, r.Wait(time.Hour, r.note))
	if len(r.seen) != 1 {
		t.Errorf("%d ends", len(r.seen))
	}
}

// TestCloseUnloads: nothing stays in the kernel.
func TestCloseUnloads(t *testing.T) {
	r := newRig(t)
	must(t, r.Attach(r.note))
	must(t, r.Close())
	if !r.fake.closed {
		t.Error("still loaded")
	}
}

// TestReadAllocatesNothing: per end, and per wait.
func TestReadAllocatesNothing(t *testing.T) {
	r := newRig(t)
	must(t, r.Attach(r.note))
	must(t, r.Wait(0, r.note))
	one := golden(t)["tcp4"]
	n := 0
	count := func(*conntrack.Event) { n++ }
	if allocs := testing.AllocsPerRun(50, func() {
		for range 100 {
			r.fake.kernel.put(one.bytes(), 0)
		}
		must(t, r.Wait(0, count))
	}); allocs != 0 || n < 5000 {
		t.Errorf("%v allocations for %d ends", allocs, n)
	}
}

// TestWrongTestConnectionIsRefused: what the self-test accepts of the connection that it makes.
func TestWrongTestConnectionIsRefused(t *testing.T) {
	self := netip.MustParseAddrPort("127.0.0.1:4000")
	now := conntrack.Timestamp{Wall: int64(1_800_000_000 * time.Second)}
	a := conntrack.AddrFrom(self.Addr())
	tuple := conntrack.Tuple{Src: a, Dst: a, SrcPort: 4000, DstPort: 4000,
		Family: unix.AF_INET, Proto: conntrack.ProtoUDP}
	good := conntrack.Event{
		Orig: tuple, Reply: tuple, Status: conntrack.Confirmed | conntrack.Dying, Counted: true,
		Counters: [2]conntrack.Counters{{Packets: 1, Bytes: 29}},
		Start:    now.Wall - 1000, Stop: now.Wall,
		First: conntrack.FirstPacket{Known: true, Output: 1},
	}
	if !isOf(&good, self) || checkTest(&good, now) != nil {
		t.Errorf("refused: %v", checkTest(&good, now))
	}
	for name, change := range map[string]func(*conntrack.Event){
		"counters": func(e *conntrack.Event) { e.Counters[0].Bytes = 30 },
		"first":    func(e *conntrack.Event) { e.First = conntrack.FirstPacket{} },
		"output":   func(e *conntrack.Event) { e.First.Output = 2 },
		"reply":    func(e *conntrack.Event) { e.Reply.Src = addr("192.0.2.1") },
		"status":   func(e *conntrack.Event) { e.Status = conntrack.Confirmed },
		"start":    func(e *conntrack.Event) { e.Start = 1 },
		"stop":     func(e *conntrack.Event) { e.Stop = 0 },
	} {
		e := good
		change(&e)
		if err := checkTest(&e, now); !errors.Is(err, ErrWrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSizesArePowersOf2: and as large as asked, within bounds.
func TestSizesArePowersOf2(t *testing.T) {
	for _, c := range []struct{ ring, connections, wantRing, wantSets int }{
		{0, 0, os.Getpagesize(), 256},
		{2 << 20, 262144, 2 << 20, 65536},
		{2<<20 + 1, 65536, 4 << 20, 16384},
		{1<<30 + 1, 1<<30 + 1, 1 << 30, 1 << 17},
		{1 << 20, 100_000, 1 << 20, 32768},
	} {
		if got := sizesFor(c.ring, c.connections); got != (sizes{c.wantRing, c.wantSets}) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// TestJiffiesAreKnown: by the clock's resolution.
func TestJiffiesAreKnown(t *testing.T) {
	if n := jiffies(); n < 24 || n > 1200 {
		t.Errorf("%d jiffies in a second", n)
	}
}

// TestComesOnce: an end may repeat one of netlink's if it ended while netlink reported ends.
func TestComesOnce(t *testing.T) {
	const attached = int64(1000 * time.Second)
	s := &Source{attached: conntrack.Timestamp{Mono: attached, Wall: attached}}
	s.options.Began.Wall = attached - int64(time.Second)
	cases := []struct {
		name     string
		at, stop int64 // after it was attached
		want     bool
	}{
		{"before netlink", 5, -2e9, true},
		{"during the handover", 5, -1, false},
		{"long ago, during the handover", 1e15, -1, false},
		{"by eBPF alone", 5, 1, true},
	}
	for _, c := range cases {
		e := conntrack.Event{Stop: attached + c.stop, At: conntrack.Timestamp{Mono: attached + c.at}}
		if got := s.comesOnce(&e); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	for at, want := range map[time.Duration]bool{time.Second: false, 2 * time.Minute: true} {
		e := conntrack.Event{At: conntrack.Timestamp{Mono: attached + int64(at)}}
		if got := s.comesOnce(&e); got != want {
			t.Errorf("without time stamps, %v after: %v, want %v", at, got, want)
		}
	}
}

// TestSourceCountsWhatIsMalformed: records of no family, and what is none of ours.
func TestSourceCountsWhatIsMalformed(t *testing.T) {
	r := newRig(t)
	must(t, r.Attach(r.note))
	none := new(record)
	r.fake.kernel.put(none.bytes(), 0)
	r.fake.kernel.put([]byte("none of ours"), 0)
	r.fake.put(t, "tcp4")
	must(t, r.Wait(0, r.note))
	if n, ends := r.Stats.Malformed.Load(), r.Stats.Destroys.Load(); n != 2 || ends != 1 {
		t.Errorf("%d malformed, %d ends", n, ends)
	}
}
