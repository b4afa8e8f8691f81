package probe

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/cmd/internal/notify"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/bpf"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/account"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

// Probe is the pipeline from reader to sinks. Make one with New, then Run it once.
type Probe struct {
	Stats monitor.Probe

	reader        *bpf.Source
	settled       bool                   // the rights for eBPF are given up
	source        atomic.Pointer[source] // of ends, for other goroutines
	routes        *route.Resolver
	hosts         *host.Neighbours // nil: nothing needs them
	names         *host.Names      // nil: devices are not counted
	accounts      *account.Accounts
	questions     *questions
	question      *question // to be answered once counters are new enough; nil: none
	usage         usage
	devicesFile   *devicesFile // nil: there is no state directory
	table         *flow.Table
	sinks         flow.Sinks
	exporter      *export.Exporter // always one of sinks
	printer       *print.Sink      // one of sinks while there is no collector; nil: never
	recordOptions recordOptions
	clock         conntrack.Clock
	log           *zap.Logger
	pacer         *pacer
	known         uint64 // lost ends, when awaitsEnds was last called
	distrusted    int    // so many more dumps may lack entries whose ends were lost
	checkpointer  *checkpointer
	manager       manager
	ready         bool

	options    Options
	config     *config.Config     // in force
	began      int64              // ns since 1970
	reloads    chan reloadRequest // from the reloader
	prepared   bool               // the kernel's settings were read once
	events     kernel.Setting     // nf_conntrack_events as it was, if it was turned on
	collectors atomic.Pointer[[]*export.Collector]
	dropped    uint64 // records dropped by collectors that a reload removed

	apply    func(*conntrack.Event)
	lost     uint64 // events lost before the last dump
	repeated uint64 // events to be repeated, before the last dump
	summary  summary
	unread   bool // the kernel was still repeating events when the program stopped

	conditions *condition.Tracker
	readKernel func(condition.Ask) *condition.Kernel
	observed   observed
}

// manager is the service manager. The loop itself sends the heartbeats: those of a timer
// would continue if the loop hung.
type manager interface {
	Notify(lines ...string)
	Alive(now int64) (due int64)
}

const (
	watchdogTimeout = 5 * time.Second        // how long reliable delivery may go unread
	reopenDelay     = 100 * time.Millisecond // bounds the cost of a socket that keeps failing
	stopTimeout     = 5 * time.Second        // for printing

	// At the end, events are read for lastTimeout at most. The kernel repeats events after
	// 10 ms, but for the first time after 1 s: none is left once repeatTimeout has passed
	// without one that found no room.
	lastTimeout   = 20 * time.Second
	repeatTimeout = 1500 * time.Millisecond
	repeatWait    = 100 * time.Millisecond // between two checks
)

// Run reads until ctx is done, then exports what is pending. Its loop runs on the calling
// goroutine, whose thread's network namespace is the one that is read. All other tasks end
// with the loop.
func (p *Probe) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks, ctx := errgroup.WithContext(ctx)
	served, err := p.serveMetrics(ctx, p.config)
	if err != nil {
		return err
	}
	answered := p.serveControl(ctx, p.config)
	if p.devicesFile != nil {
		tasks.Go(func() error { p.saveDevices(ctx); return nil })
	}
	if p.options.Load != nil {
		r := p.reloader()
		tasks.Go(func() error { r.run(ctx); return nil })
	}
	if p.hosts != nil {
		tasks.Go(func() error { p.hosts.Follow(ctx); return nil })
	}
	if p.names != nil {
		tasks.Go(func() error { p.names.Follow(ctx); return nil })
	}
	err = p.loop(ctx)
	cancel()
	served()
	answered()
	err = errors.Join(err, tasks.Wait())
	p.devicesFile.save(p.accounts.Snapshot(p.clock())) // no other task saves any more
	return err
}

// loop is the one goroutine that reads, counts and exports.
func (p *Probe) loop(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.reader.Interrupt)
	defer stop()
	if p.reader.Reliable() {
		watched, end := context.WithCancel(context.WithoutCancel(ctx)) // until stop returns
		defer end()
		go p.reader.Watchdog(watched, watchdogTimeout)
	}
	p.bind()
	p.reader.OnChunk = func() { p.onChunk(ctx) }

	p.pacer.hurry = true
	p.dump()
	p.pacer.hurry = false
	p.tickSinks(ctx, p.clock())
	p.summary.begin(p)
	for ctx.Err() == nil {
		p.announce()
		p.takeReload()
		if p.reader.Lost() != p.lost {
			p.pacer.advance()
		}
		if p.pacer.due(p.clock()) {
			p.dump()
		}
		p.observeReliable()
		p.tickSinks(ctx, p.clock())
		p.summary.tick(p)
		p.observeCounters(p.clock())
		p.answer(p.clock())
		if err := p.wait(); err != nil {
			return errors.Join(err, p.stop())
		}
	}
	return p.stop()
}

// bind makes the closure that handles each event, once.
func (p *Probe) bind() {
	p.apply = func(e *conntrack.Event) {
		p.observed.entries.Count(e)
		p.table.Apply(e)
	}
}

// announce reports once that the probe is ready: a dump was read, and the templates were
// sent to the collectors that can be reached.
func (p *Probe) announce() {
	if p.ready || p.reader.Stats.Dumps.Load() == 0 {
		return
	}
	p.ready = true
	connections := p.table.Stats.Flows.Load()
	p.log.Info("reading conntrack", zap.Stringer("poll_interval", p.pacer.interval()),
		zap.Int64("connections", connections),
		zap.Int64("receive_buffer", p.Stats.ReceiveBuffer.Load()))
	p.manager.Notify(notify.Ready,
		notify.Status(fmt.Sprintf("Reading conntrack: %d connections", connections)))
}

// wait reads DESTROY events until something else is due. After reading some it sleeps for
// a moment, so that one wake-up serves many events.
func (p *Probe) wait() error {
	now := p.clock().Mono
	due := min(p.sinksDue(p.pacer.next), p.summary.due, p.heartbeat(now))
	if p.question != nil {
		due = min(due, p.question.until)
	}
	before := p.reader.Stats.Destroys.Load()
	err := p.reader.Wait(max(time.Duration(due-now), time.Millisecond), p.apply)
	if err != nil {
		return p.reopen(err)
	}
	if p.reader.Stats.Destroys.Load() != before && !p.reader.Backlog() {
		time.Sleep(p.pacer.batchWait)
	}
	return nil
}

// heartbeat records that the loop is running, and returns when it is due again.
func (p *Probe) heartbeat(now int64) (due int64) {
	p.Stats.Turned.Store(now)
	return min(p.manager.Alive(now), now+int64(monitor.LoopPeriod))
}

// observeReliable raises ReliableEnded if the watchdog has ended reliable delivery, as long as that
// would be had: eBPF has none.
func (p *Probe) observeReliable() {
	if p.reader.Stats.Stalls.Load() == 0 {
		return
	}
	p.setCondition(p.clock(), p.reader.Step() == bpf.Netlink, condition.Condition{
		ID: condition.ReliableEnded, Detail: "for " + watchdogTimeout.String(),
	})
}

// reopen replaces a broken event socket.
func (p *Probe) reopen(err error) error {
	was := p.reader.Step()
	if was != bpf.Netlink {
		p.prepared = false // netlink needs a setting that eBPF doesn't
	}
	if failure := p.reader.Reopen(); failure != nil {
		return fmt.Errorf("%w; reopening failed: %w", err, failure)
	}
	p.Stats.Reopened.Add(1)
	now := p.clock()
	p.conditions.Raise(now, condition.Condition{ID: condition.SocketReopened, Detail: err.Error()})
	if was != bpf.Netlink {
		p.fallBack(now, err)
	}
	p.observeBuffer(now, p.reader.ReceiveBuffer())
	p.pacer.advance() // connections that ended meanwhile are missing from the next dump
	time.Sleep(reopenDelay)
	return nil
}

// onChunk is called between the chunks of a dump.
func (p *Probe) onChunk(ctx context.Context) {
	now := p.clock()
	p.tickSinks(ctx, now)
	p.heartbeat(now.Mono)
	if ctx.Err() == nil {
		p.pacer.pause(p.clock)
	}
}

// dump reads the counters of all entries. After a failure the next poll tries again, and
// nothing is lost: the kernel keeps counting.
func (p *Probe) dump() {
	p.observeKernel(p.clock())
	p.chooseSource()
	p.table.SetTimeouts(kernel.ReadTimeouts())
	p.table.SetMaxFlows(maxFlows(p.config))
	p.lost = p.reader.Lost()
	p.pacer.begin(p.clock())
	before := p.reader.DumpCPU()
	err := p.dumpTwice()
	now := p.clock()
	if repeated := p.reader.Stats.Repeated.Load(); repeated != p.repeated {
		p.repeated = repeated
		p.table.ExpectLateEnds(now)
	}
	p.observeWalk(now, p.reader.WalkError())
	ending := p.endDump(now, err == nil)
	switch {
	case err == nil:
		p.observeDump(now)
		p.Stats.Dumped.Store(now.Mono)
	case !errors.Is(err, conntrack.ErrPartial):
		p.dumpFailed(now, err)
	}
	p.pacer.end(now, p.reader.DumpCPU()-before+ending)
	p.setCondition(now, p.pacer.isStretched(), condition.Condition{
		ID: condition.PollsStretched, Detail: "to " + p.pacer.interval().String(),
	})
}

// endDump processes what a dump showed, and returns the CPU time that this took. complete
// reports whether the dump showed all entries.
func (p *Probe) endDump(now conntrack.Timestamp, complete bool) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := kernel.ThreadCPU()
	if complete {
		p.table.AwaitEnds(p.awaitsEnds())
		p.table.EndDump(now)
		p.accounts.Refresh(now)
	}
	p.commit(now) // no more records of this dump will follow
	p.checkpointer.compact()
	return kernel.ThreadCPU() - began
}

// dumpTwice dumps, and once more if the kernel resized its table meanwhile.
func (p *Probe) dumpTwice() error {
	err := p.dumpOnce()
	if errors.Is(err, conntrack.ErrPartial) {
		err = p.dumpOnce()
	}
	return err
}

func (p *Probe) dumpOnce() error {
	p.observed.entries.Reset()
	err := p.reader.Dump(p.apply)
	if errors.Is(err, conntrack.ErrPartial) {
		p.Stats.DiscardedDumps.Add(1)
	}
	return err
}

// readLast dumps for the last time and reads the events that are left. The dump makes the
// kernel evict all expired entries at once, which may be more DESTROY events than the
// buffer holds: reliable delivery has the kernel repeat them.
func (p *Probe) readLast() error {
	// With reliable delivery, a socket that nobody reads lets the kernel's table fill up.
	defer p.reader.Close()
	if !p.reader.Reliable() {
		watched, end := context.WithCancel(context.Background())
		defer end()
		go p.reader.Watchdog(watched, watchdogTimeout)
		if err := p.reader.EnableReliable(); err != nil {
			p.log.Warn("reliable delivery can't be turned on: the last events may be lost",
				zap.Error(err))
		}
	}
	if err := p.dumpTwice(); err != nil && !errors.Is(err, conntrack.ErrPartial) {
		return err // a partial dump counts for the entries that it showed
	}
	return p.readRepeats()
}

// readRepeats reads queued events, and those that the kernel repeats because they found no
// room, until repeatTimeout has passed without another one that found none.
func (p *Probe) readRepeats() error {
	began := p.clock().Mono
	repeated, lastFull := p.repeated, began-int64(repeatTimeout)
	for wait := time.Duration(0); ; wait = repeatWait {
		if err := p.reader.Wait(wait, p.apply); err != nil {
			return err
		}
		now := p.clock().Mono
		p.heartbeat(now)
		if n := p.reader.Stats.Repeated.Load(); n != repeated {
			repeated, lastFull = n, now
		}
		switch {
		case !p.reader.Backlog() && now-lastFull >= int64(repeatTimeout):
			return nil
		case now-began >= int64(lastTimeout):
			p.unread = true
			return nil
		}
	}
}

// stop exports all that was counted by now.
func (p *Probe) stop() error {
	p.manager.Notify(notify.Stopping)
	p.pacer.hurry = true
	err := p.readLast()
	now := p.clock()
	p.table.Flush(now)
	p.closeSinks(now)
	p.summary.end(p)
	if err != nil {
		return fmt.Errorf("the last dump failed, its packets and bytes are missing: %w", err)
	}
	return nil
}

// Close closes the sockets for reading.
func (p *Probe) Close() error {
	err := errors.Join(p.routes.Close(), p.reader.Close())
	if p.hosts != nil {
		err = errors.Join(err, p.hosts.Close())
	}
	return err
}
