package probe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/bpf"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/account"
)

// patience bounds every wait of these tests. None is expected to take this long.
const patience = 90 * time.Second

// loop is a probe whose loop runs without the tasks beside it.
type loop struct {
	*Probe
	t       *testing.T
	records chan flow.Record
	gated   atomic.Bool // if set, exporting a record blocks until gate is closed
	gate    chan struct{}
	waits   atomic.Bool // exporting is blocked
	cancel  context.CancelFunc
	ends    chan error
}

// Export implements flow.Sink.
func (l *loop) Export(p *flow.Pair) {
	for d := range p {
		if p[d].Moved() {
			l.take(&p[d])
		}
	}
}

// Flush implements flow.Sink.
func (l *loop) Flush(conntrack.Timestamp) {}

func (l *loop) take(r *flow.Record) {
	if l.gated.Load() {
		l.waits.Store(true)
		<-l.gate
	}
	select {
	case l.records <- *r:
	default: // full: the test doesn't read that many
	}
}

func newLoop(t *testing.T, reader *ctnetlink.Reader, clock conntrack.Clock) *loop {
	l := &loop{
		t: t, records: make(chan flow.Record, 1000),
		gate: make(chan struct{}), ends: make(chan error, 1),
	}
	options := flow.Options{Active: time.Minute, Idle: 15 * time.Second}
	l.Probe = &Probe{
		conditions: condition.NewTracker(zap.NewNop()), readKernel: healthyKernel,
		config: config.Default(),
		reader: unattached(reader, clock), exporter: new(export.Exporter), clock: clock,
		log: zap.NewNop(), manager: new(notify.Manager),
		accounts: account.New(account.Options{}), questions: newQuestions(clock, reader.Interrupt),
		table: flow.NewTable(options, new(conntrack.Timeouts), l, clock()),
	}
	l.pacer = newPacer(time.Second, 1, 1<<20, &l.Stats)
	return l
}

func (l *loop) start() {
	var ctx context.Context
	ctx, l.cancel = context.WithTimeout(l.t.Context(), patience)
	go func() { l.ends <- l.loop(ctx) }()
	l.t.Cleanup(l.cancel)
}

// record returns the next record.
func (l *loop) record() flow.Record {
	l.t.Helper()
	select {
	case r := <-l.records:
		return r
	case err := <-l.ends:
		l.t.Fatalf("the loop ended: %v", err)
	case <-time.After(patience):
		l.t.Fatal("no record arrived")
	}
	panic("unreachable")
}

// until waits until the loop's counters satisfy enough.
func (l *loop) until(what string, enough func() bool) {
	l.t.Helper()
	for begin := time.Now(); !enough(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			l.t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// loopFault is an error of the kernel, which is counted.
type loopFault struct {
	name    string
	inject  func(*conntracktest.Kernel)
	counted func(*loop) uint64 // nil: it is no error
}

func loopFaults() []loopFault {
	return []loopFault{
		{"events: ENOBUFS", (*conntracktest.Kernel).Overrun, overruns},
		{"events: EINTR", func(k *conntracktest.Kernel) { k.FailEvents(unix.EINTR) }, nil},
		{"events: truncated datagram",
			func(k *conntracktest.Kernel) { k.FailEvents(ctnetlink.ErrMalformed) }, malformed},
		{"events: half a header", func(k *conntracktest.Kernel) { k.InjectEvent(make([]byte, 8)) },
			malformed},
		{"events: a header of zeros",
			func(k *conntracktest.Kernel) { k.InjectEvent(make([]byte, 16)) }, malformed},
		{"dump: ENOMEM", func(k *conntracktest.Kernel) { k.FailDump(unix.ENOMEM) }, failedDumps},
		{"dump: EBUSY", func(k *conntracktest.Kernel) { k.FailDump(unix.EBUSY) }, failedDumps},
		{"dump: EPERM", func(k *conntracktest.Kernel) { k.FailDump(unix.EPERM) }, failedDumps},
		{"dump: DONE with an errno", func(k *conntracktest.Kernel) { k.BreakDump(unix.ENOMEM) },
			failedDumps},
		{"chunk: EINTR", func(k *conntracktest.Kernel) { k.FailChunk(unix.EINTR) }, nil},
	}
}

// unattached returns a source that has only a reader.
func unattached(r *ctnetlink.Reader, clock conntrack.Clock) *bpf.Source {
	return bpf.NewSource(r, bpf.SourceOptions{}, clock)
}

func overruns(l *loop) uint64    { return l.reader.Stats.Overruns.Load() }
func malformed(l *loop) uint64   { return l.reader.Stats.Malformed.Load() }
func failedDumps(l *loop) uint64 { return l.Stats.FailedDumps.Load() }

// TestKernelErrorsDoNotEndLoop: each error is counted, none ends the loop or loses a flow.
// A dump that isn't read to its end would open another socket, which the fake doesn't
// have: see TestLoopReopensClosedSockets.
func TestKernelErrorsDoNotEndLoop(t *testing.T) {
	t.Parallel()
	for _, c := range loopFaults() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := conntracktest.New()
			l := newLoop(t, k.Reader(), k.Clock())
			l.start()
			l.until("the first dump", func() bool { return l.reader.Stats.Dumps.Load() > 0 })
			key := k.Create(conntrack.Event{Orig: faultTuple()})
			k.Count(key, conntrack.Original, 3, 300)
			for round := uint64(1); round <= 2; round++ {
				c.inject(k)
				if c.counted != nil {
					l.until("the fault to be counted", func() bool { return c.counted(l) >= round })
				}
				dumps := l.reader.Stats.Dumps.Load()
				l.until("dumps to go on",
					func() bool { return l.reader.Stats.Dumps.Load() > dumps+1 })
			}
			k.Count(key, conntrack.Original, 1, 50)
			k.Destroy(key)
			packets, bytes := uint64(0), uint64(0)
			for packets < 4 { // the idle timeout may have made two records
				r := l.record()
				packets, bytes = packets+r.Packets, bytes+r.Bytes
			}
			l.cancel()
			if err := <-l.ends; err != nil {
				t.Errorf("the loop ended with %v", err)
			}
			if packets != 4 || bytes != 350 || len(l.records) > 0 {
				t.Errorf("%d packets, %d bytes, and %d more records", packets, bytes,
					len(l.records))
			}
		})
	}
}

func faultTuple() conntrack.Tuple {
	return conntrack.Tuple{
		Src:     conntrack.AddrFrom(netip.MustParseAddr("192.0.2.1")),
		Dst:     conntrack.AddrFrom(netip.MustParseAddr("198.51.100.1")),
		SrcPort: 1024, DstPort: 53, Family: unix.AF_INET, Proto: conntrack.ProtoUDP,
	}
}

// TestStopExportsQueuedEvents: however many events are unread at the end.
func TestStopExportsQueuedEvents(t *testing.T) {
	t.Parallel()
	const flows = 20_000
	k := conntracktest.New()
	l := newLoop(t, k.Reader(), k.Clock())
	l.apply = l.table.Apply
	l.dump()
	k.Advance(time.Second)
	for i := range flows {
		tuple := faultTuple()
		tuple.SrcPort = uint16(i)
		key := k.Create(conntrack.Event{Orig: tuple})
		k.Count(key, conntrack.Original, 1, 100)
		k.Destroy(key)
	}
	if err := l.stop(); err != nil {
		t.Fatal(err)
	}
	if got := l.table.Stats.Records.Load(); got != flows {
		t.Errorf("%d records", got)
	}
}

// TestLoopReopensClosedSockets closes both sockets while the loop uses them.
func TestLoopReopensClosedSockets(t *testing.T) {
	t.Parallel()
	l := labtest.New(t, lab.Options{})
	clock := conntrack.SystemClock()
	reader, err := ctnetlink.Open(ctnetlink.Options{NetNS: l.Router.FD(), ReceiveBuffer: 1 << 20},
		clock)
	if err != nil {
		t.Fatal(err)
	}
	closes := make(chan error) // takes the result where the sockets are to be closed
	loop := newLoop(t, reader, func() conntrack.Timestamp {
		select {
		case closes <- nil: // here, in the loop's goroutine, which the reader belongs to
			closes <- reader.Close()
		default:
		}
		return clock()
	})
	loop.start()
	loop.until("the first dump", func() bool { return reader.Stats.Dumps.Load() > 0 })
	<-closes
	if err := <-closes; err != nil {
		t.Fatal(err)
	}
	loop.until("the sockets to be opened again",
		func() bool { return loop.Stats.Reopened.Load() > 0 })
	dumps := reader.Stats.Dumps.Load()
	loop.until("dumps to go on", func() bool { return reader.Stats.Dumps.Load() > dumps })
	loop.cancel()
	if err := <-loop.ends; err != nil {
		t.Errorf("the loop ended with %v", err)
	}
	if !loop.conditions.Holds(condition.SocketReopened) {
		t.Error("no condition reports that the socket was reopened")
	}
	if err := reader.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the loop has left sockets open: %v", err)
	}
}

// flooded is a lab with many connections of one packet.
type flooded struct {
	*lab.Lab
	t    *testing.T
	sent int
}

func (r *flooded) flood(flows, rate int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	err := r.Flood(ctx, lab.FloodFlow{Flows: flows, Rate: rate, Size: 100, First: r.sent})
	if err != nil {
		r.t.Fatal(err)
	}
	r.sent += flows
}

// entries returns the number of entries in the router's conntrack table.
func (r *flooded) entries() int {
	r.t.Helper()
	text, err := r.Router.ReadSysctl("net/netfilter/nf_conntrack_count")
	if err != nil {
		r.t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// blockedLoop returns a loop with reliable delivery whose exporter is blocked, and a router
// where 10,000 connections have ended since. Most of them are not reported yet.
func blockedLoop(t *testing.T) (*flooded, *loop) {
	t.Helper()
	r := &flooded{t: t, Lab: labtest.New(t, lab.Options{Sysctls: map[string]string{
		"net/netfilter/nf_conntrack_acct": "1", "net/netfilter/nf_conntrack_timestamp": "1",
		"net/netfilter/nf_conntrack_events": "1",
	}})}
	clock := conntrack.SystemClock()
	reader, err := ctnetlink.Open(ctnetlink.Options{
		NetNS: r.Router.FD(), ReceiveBuffer: 64 << 10, Reliable: true,
	}, clock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close() })
	l := newLoop(t, reader, clock)
	l.gated.Store(true)
	l.start()
	l.until("the first dump", func() bool { return reader.Stats.Dumps.Load() > 0 })
	r.flood(10_000, 0)
	if err := r.Router.Flush(); err != nil {
		t.Fatal(err)
	}
	l.until("the exporter to block", l.waits.Load)
	if n := r.entries(); n < 5000 {
		t.Fatalf("%d entries wait to be reported", n)
	}
	return r, l
}

// TestWatchdogFreesTableOfBlockedLoop: the watchdog ends reliable delivery if the exporter
// blocks the loop, and the router has room again. Each event lost by that is counted.
func TestWatchdogFreesTableOfBlockedLoop(t *testing.T) {
	t.Parallel()
	r, l := blockedLoop(t)
	stats := &l.reader.Stats
	l.until("the entries to be freed", func() bool { return r.entries() < 100 })
	l.gated.Store(false)
	close(l.gate)
	l.until("the probe to notice", func() bool { return stats.Stalls.Load() == 1 })
	r.flood(1, 0)
	if err := r.Router.Flush(); err != nil {
		t.Fatal(err)
	}
	last := lab.FloodSource(r.sent - 1)
	arrived := map[netip.AddrPort]bool{}
	for !arrived[last] {
		got := l.record()
		arrived[netip.AddrPortFrom(got.Src.Netip(), got.SrcPort)] = true
	}
	l.cancel()
	if err := <-l.ends; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the loop ended with %v", err)
	}
	missing, dropped := r.sent-len(arrived), int(stats.Drops.Load())
	t.Logf("of %d flows %d are missing, %d were dropped, %d times repeated",
		r.sent, missing, dropped, stats.Repeated.Load())
	if missing != dropped || missing == 0 {
		t.Errorf("%d flows are missing, %d were dropped", missing, dropped)
	}
	if !l.conditions.Holds(condition.ReliableEnded) {
		t.Error("no condition reports the end of reliable delivery")
	}
	if l.reader.Reliable() || l.Stats.Reopened.Load() != 0 {
		t.Errorf("reliable %v, reopened %d times", l.reader.Reliable(), l.Stats.Reopened.Load())
	}
}

// TestWatchdogRunsUntilLoopEnds: also after the context is done.
func TestWatchdogRunsUntilLoopEnds(t *testing.T) {
	t.Parallel()
	r, l := blockedLoop(t)
	l.cancel()
	l.until("the entries to be freed", func() bool { return r.entries() < 100 })
	close(l.gate)
	if err := <-l.ends; err != nil {
		t.Errorf("the loop ended with %v", err)
	}
}

// TestQuestionIsAnsweredInTime: with older counters, where newer ones can't be read so soon.
func TestQuestionIsAnsweredInTime(t *testing.T) {
	k := conntracktest.New()
	p := fakeProbe(k.Reader(), k.Clock(), &recorder{on: func(string) {}})
	p.apply = p.table.Apply
	began := k.Clock()().Mono
	p.pacer.next, p.summary.due = began+int64(time.Hour), began+int64(time.Hour)
	p.question = &question{until: began + int64(time.Second)/2, read: began + int64(time.Hour)}
	if err := p.wait(); err != nil {
		t.Fatal(err)
	}
	if waited := time.Duration(k.Clock()().Mono - began); waited != time.Second/2 {
		t.Errorf("the loop sleeps for %v, the question is due in 0.5 s", waited)
	}
}

// TestEBPFIsNotTriedWithoutItsRights: once they are given up, a failure leaves it to netlink, and
// says that a restart helps.
func TestEBPFIsNotTriedWithoutItsRights(t *testing.T) {
	k := conntracktest.New()
	p := fakeProbe(k.Reader(), k.Clock(), &recorder{on: func(string) {}})
	p.reader = bpf.NewSource(k.Reader(), bpf.SourceOptions{BPF: true}, k.Clock())
	c := *p.config
	c.Conntrack.Ends = config.EndsByBPF
	p.config, p.settled = &c, true
	p.fallBack(k.Clock()(), errors.New("the ring is gone"))
	p.chooseSource()
	_, _, reason := p.source.Load().describe()
	const want = "the ring is gone: restart conntally"
	held := p.conditions.Snapshot()
	if reason != want || len(held) != 1 || held[0].ID != condition.SourceFellBack ||
		held[0].Detail != want {
		t.Errorf("%q: %+v", reason, held)
	}
}
