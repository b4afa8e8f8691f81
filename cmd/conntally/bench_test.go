package main

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
)

// The benchmarks of this package compare within one run: an iteration is a round
// in which all that is compared takes its turn, and what is reported are medians
// over the rounds. As root, all of them in some 90 s:
//
//	go test -run '^$' -bench . -benchtime 11x ./cmd/conntally

// cost is the cost of some work.
type cost struct {
	cpu, user time.Duration // of its thread; user is sampled by the kernel's tick
	allocs    uint64
}

// meter measures the calling thread, which its caller has locked. It allocates
// nothing, or that would count.
type meter struct {
	memory runtime.MemStats
	usage  unix.Rusage
	time   unix.Timespec
}

func (m *meter) measure(work func()) cost {
	allocs, user, cpu := m.allocs(), m.user(), m.cpu()
	work()
	c := cost{cpu: m.cpu() - cpu, user: m.user() - user}
	c.allocs = m.allocs() - allocs
	return c
}

func (m *meter) allocs() uint64 {
	runtime.ReadMemStats(&m.memory)
	return m.memory.Mallocs
}

// cpu reads what getrusage has too, but as of the last tick.
func (m *meter) cpu() time.Duration {
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &m.time); err != nil {
		panic(err)
	}
	return time.Duration(m.time.Nano())
}

func (m *meter) user() time.Duration {
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &m.usage); err != nil {
		panic(err)
	}
	return time.Duration(m.usage.Utime.Nano())
}

// work is what a contest measures. Before and after, where set, aren't measured.
type work struct{ before, run, after func() }

// contest measures works in turn.
type contest struct {
	meter meter
	works []work
	costs [][]cost // by work, by round
}

func newContest(works ...work) *contest {
	return &contest{works: works, costs: make([][]cost, len(works))}
}

// warm runs rounds that don't count.
func (c *contest) warm(rounds int) {
	for range rounds {
		c.round()
	}
	c.costs = make([][]cost, len(c.works))
}

// round runs each work once, and begins each time with another.
func (c *contest) round() {
	first := len(c.costs[0])
	for i := range c.works {
		w := (first + i) % len(c.works)
		c.costs[w] = append(c.costs[w], c.run(&c.works[w]))
	}
}

func (c *contest) run(w *work) cost {
	if w.before != nil {
		w.before()
	}
	if w.after != nil {
		defer w.after()
	}
	return c.meter.measure(w.run)
}

// cpu returns the median of work w in ns, per one of n.
func (c *contest) cpu(w, n int) float64 {
	cost := median(c.costs[w], func(i int) float64 { return float64(c.costs[w][i].cpu) })
	return cost / float64(n)
}

// ratio returns the median of how much more CPU time work a took than work b in
// the same round.
func (c *contest) ratio(a, b int) float64 {
	return median(c.costs[a],
		func(i int) float64 { return float64(c.costs[a][i].cpu) / float64(c.costs[b][i].cpu) })
}

// user returns the mean user time of work w in ns, per one of n. A single round is
// too short for the tick.
func (c *contest) user(w, n int) float64 {
	var sum time.Duration
	for _, cost := range c.costs[w] {
		sum += cost.user
	}
	return float64(sum) / float64(len(c.costs[w])*n)
}

// allocs returns the mean number of allocations of work w, per one of n.
func (c *contest) allocs(w, n int) float64 {
	var sum uint64
	for _, cost := range c.costs[w] {
		sum += cost.allocs
	}
	return float64(sum) / float64(len(c.costs[w])*n)
}

func median(rounds []cost, of func(round int) float64) float64 {
	values := make([]float64, len(rounds))
	for i := range rounds {
		values[i] = of(i)
	}
	return middle(values)
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// locked ties the benchmark to its thread, whose CPU time is measured.
func locked(b *testing.B) {
	runtime.LockOSThread()
	b.Cleanup(runtime.UnlockOSThread)
}

// filled is a router whose table is filled by hand.
type filled struct {
	*lab.Namespace
	clock   conntrack.Clock
	entries int
}

func newFilled(b *testing.B) *filled {
	b.Helper()
	if err := lab.Available(); err != nil {
		b.Skip(err)
	}
	l, err := lab.New(lab.Options{Sysctls: map[string]string{
		"net/netfilter/nf_conntrack_acct":      "1",
		"net/netfilter/nf_conntrack_timestamp": "1",
		"net/netfilter/nf_conntrack_events":    "1",
	}})
	must(b, err)
	b.Cleanup(func() {
		must(b, l.Router.Flush())
		must(b, l.Close())
	})
	return &filled{Namespace: l.Router, clock: conntrack.SystemClock()}
}

// grow fills the table up to n entries.
func (f *filled) grow(b *testing.B, n int) {
	b.Helper()
	if most, err := kernel.ReadSysctl("max"); err == nil && n > most {
		b.Skipf("nf_conntrack_max is %d", most)
	}
	must(b, f.Fill(f.entries, n-f.entries))
	f.entries = n
}

// empty ends all entries.
func (f *filled) empty(b *testing.B) {
	b.Helper()
	must(b, f.Flush())
	f.entries = 0
}

// open subscribes with a buffer that has room for a whole burst of events.
func (f *filled) open(b *testing.B) *ctnetlink.Reader {
	b.Helper()
	r, err := ctnetlink.Open(ctnetlink.Options{NetNS: f.FD(), ReceiveBuffer: burstBuffer}, f.clock)
	must(b, err)
	return r
}

// newTable returns a table as `conntally run` makes it, which exports to sink.
func newTable(
	b *testing.B, routes flow.RouteResolver, sink flow.Sink, clock conntrack.Clock,
) *flow.Table {
	b.Helper()
	c := export.NewCollector(export.CollectorConfig{Address: "127.0.0.1:9"}, clock)
	must(b, c.Open(b.Context()))
	exporter := &export.Exporter{Collectors: []*export.Collector{c}} // never sends
	b.Cleanup(func() { exporter.Close(clock()) })
	options := flow.Options{Active: time.Minute, Idle: 15 * time.Second, MaxFlows: 1 << 18,
		Routes: routes, Exclude: func(e *conntrack.Event) bool { return exporter.Owns(&e.Orig) }}
	return flow.NewTable(options, kernel.ReadTimeouts(), sink, clock())
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
