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
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/route"
)

// Probe drives the pipeline: one goroutine reads, counts and exports.
type Probe struct {
	Stats monitor.Probe

	reader        *ctnetlink.Reader
	routes        *route.Resolver
	table         *flow.Table
	sinks         flow.Sinks
	exporter      *export.Exporter // one of them
	printer       *print.Sink      // one of them where there is no collector; nil: never
	recordOptions recordOptions
	clock         conntrack.Clock
	log           *zap.Logger
	pacer         *pacer
	reliable      bool // delivery was, when last looked
	checkpointer  *checkpointer
	manager       manager
	ready         bool

	options    Options
	config     *config.Config     // in force
	began      int64              // ns since 1970
	reloads    chan reloadRequest // changed configurations
	prepared   bool               // the kernel is
	collectors atomic.Pointer[[]*export.Collector]
	goneUnsent uint64 // records that collectors which are gone missed

	apply    func(*conntrack.Event)
	lost     uint64 // events lost before the last dump
	repeated uint64 // and those to be repeated
	summary  summary
	unread   bool // the kernel was still repeating ends when the program stopped

	conditions *condition.Tracker
	readKernel func(condition.Ask) *condition.Kernel
	observed   observed
}

// manager is the service manager. Signs of life come from the probe's own goroutine:
// those of a timer would go on when the reader hangs.
type manager interface {
	Tell(lines ...string)
	Alive(now int64) (due int64)
}

const (
	guardPatience = 5 * time.Second        // how long a reliable reader may stand still
	reopenRest    = 100 * time.Millisecond // so that a socket that fails at once costs little
	stopPatience  = 5 * time.Second        // for printing
	lastPatience  = 20 * time.Second       // for what has ended by the stop
	repeatsRest   = 100 * time.Millisecond
	repeatsAfter  = 1500 * time.Millisecond // the kernel repeats after 10 ms, for the first time after 1 s
)

// Run reads until ctx is done, then exports what is pending. Its loop stays on the calling
// goroutine: the network namespace of its thread is the one that is read. All other tasks
// end with the loop, and the loop ends in order when one of them fails.
func (p *Probe) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	tasks, ctx := errgroup.WithContext(ctx)
	served, err := p.serveMetrics(ctx, p.config)
	if err != nil {
		return err
	}
	if p.options.Load != nil {
		r := p.reloader()
		tasks.Go(func() error { r.run(ctx); return nil })
	}
	if p.recordOptions.follow != nil {
		tasks.Go(func() error { p.recordOptions.follow(ctx); return nil })
	}
	err = p.loop(ctx)
	cancel()
	served()
	return errors.Join(err, tasks.Wait())
}

// loop is the one goroutine that reads, counts and exports.
func (p *Probe) loop(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.reader.Interrupt)
	defer stop()
	if p.reader.Reliable() {
		guarded, end := context.WithCancel(context.WithoutCancel(ctx)) // while it stops, too
		defer end()
		go p.reader.Watchdog(guarded, guardPatience)
	}
	p.reliable = p.reader.Reliable()
	p.bind()
	p.reader.OnChunk = func() { p.between(ctx) }

	p.pacer.hurry = true
	p.dump()
	p.pacer.hurry = false
	p.tickSinks(ctx, p.clock())
	p.summary.begin(p)
	for ctx.Err() == nil {
		p.announce()
		p.takeReload()
		if p.reader.Lost() != p.lost {
			p.pacer.soon()
		}
		if p.pacer.due(p.clock()) {
			p.dump()
		}
		p.lookStalled()
		p.tickSinks(ctx, p.clock())
		p.summary.tick(p)
		p.observeCounters(p.clock())
		if err := p.wait(); err != nil {
			return errors.Join(err, p.stop())
		}
	}
	return p.stop()
}

// bind binds what every event is handed to, once.
func (p *Probe) bind() {
	p.apply = func(e *conntrack.Event) {
		p.observed.entries.Count(e)
		p.table.Apply(e)
	}
}

// announce says once that the probe works: a dump was read, and templates are sent
// where a collector can be reached.
func (p *Probe) announce() {
	if p.ready || p.reader.Stats.Dumps.Load() == 0 {
		return
	}
	p.ready = true
	connections := p.table.Stats.Flows.Load()
	p.log.Info("reading conntrack", zap.Stringer("poll_interval", p.pacer.interval()),
		zap.Int64("connections", connections), zap.Int64("receive_buffer", p.Stats.ReceiveBuffer.Load()))
	p.manager.Tell(notify.Ready, notify.Status(fmt.Sprintf("Reading conntrack: %d connections", connections)))
}

// wait reads what ends until something else is due. Where events come thick and
// fast it lets them gather: one wake-up serves many.
func (p *Probe) wait() error {
	now := p.clock().Mono
	due := min(p.sinksDue(p.pacer.next), p.summary.due, p.alive(now))
	before := p.reader.Stats.Destroys.Load()
	err := p.reader.Wait(max(time.Duration(due-now), time.Millisecond), p.apply)
	if err != nil {
		return p.reopen(err)
	}
	if p.reader.Stats.Destroys.Load() != before && !p.reader.Backlog() {
		time.Sleep(p.pacer.breath)
	}
	return nil
}

// alive shows that the loop turns, and returns until when it is to do so again.
func (p *Probe) alive(now int64) (due int64) {
	p.Stats.Turned.Store(now)
	return min(p.manager.Alive(now), now+int64(monitor.LoopRest))
}

// lookStalled raises a condition where reliable delivery has ended.
func (p *Probe) lookStalled() {
	if p.reliable && !p.reader.Reliable() {
		p.reliable = false
		p.conditions.Raise(p.clock(), condition.Condition{
			ID: condition.ReliableEnded, Detail: "for " + guardPatience.String(),
		})
	}
}

// reopen replaces a broken event socket.
func (p *Probe) reopen(err error) error {
	if again := p.reader.Reopen(); again != nil {
		return fmt.Errorf("%w; and again: %w", err, again)
	}
	p.Stats.Reopened.Add(1)
	now := p.clock()
	p.conditions.Raise(now, condition.Condition{ID: condition.SocketReopened, Detail: err.Error()})
	p.observeBuffer(now, p.reader.ReceiveBuffer())
	p.pacer.soon() // what ended meanwhile is missing from the next dump
	time.Sleep(reopenRest)
	return nil
}

// between is called between the chunks of a dump.
func (p *Probe) between(ctx context.Context) {
	now := p.clock()
	p.tickSinks(ctx, now)
	p.alive(now.Mono)
	if ctx.Err() == nil {
		p.pacer.pause(p.clock)
	}
}

// dump reads the counters of all living entries. A dump that fails is tried again
// at the next poll; nothing is lost by it, since the kernel keeps counting.
func (p *Probe) dump() {
	p.observeKernel(p.clock())
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
	ending := p.endDump(now, err == nil)
	switch {
	case err == nil:
		p.observeDump(now)
		p.Stats.Dumped.Store(now.Mono)
	case !errors.Is(err, conntrack.ErrPartial):
		p.dumpFailed(now, err)
	}
	p.pacer.end(now, p.reader.DumpCPU()-before+ending)
	p.hold(now, p.pacer.isStretched(), condition.Condition{
		ID: condition.PollsStretched, Detail: "to " + p.pacer.interval().String(),
	})
}

// endDump does what a dump leaves to do, and returns the CPU time that it took.
func (p *Probe) endDump(now conntrack.Timestamp, whole bool) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := kernel.ThreadCPU()
	if whole {
		p.table.EndDump(now)
	}
	p.commit(now) // a dump's records have no more company to wait for
	p.checkpointer.tidy()
	return kernel.ThreadCPU() - began
}

// dumpTwice dumps again where the kernel resized its table meanwhile.
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

// readLast reads all counters for the last time. The dump evicts all that has expired at
// once, which can be more ends than the buffer holds: the kernel is to repeat them.
func (p *Probe) readLast() error {
	defer p.reader.Close() // a reader that doesn't read keeps the router from accepting connections
	if !p.reader.Reliable() {
		guarded, end := context.WithCancel(context.Background())
		defer end()
		go p.reader.Watchdog(guarded, guardPatience)
		if err := p.reader.Insist(); err != nil {
			p.log.Warn("the kernel won't repeat ends: the last ones may be lost", zap.Error(err))
		}
	}
	if err := p.dumpTwice(); err != nil && !errors.Is(err, conntrack.ErrPartial) { // it showed what it could
		return err
	}
	return p.readRepeats()
}

// readRepeats reads what has ended by now, and what the kernel repeats since it found no
// room: until all has found room for repeatsAfter.
func (p *Probe) readRepeats() error {
	began := p.clock().Mono
	repeated, room := p.repeated, began-int64(repeatsAfter)
	for wait := time.Duration(0); ; wait = repeatsRest {
		if err := p.reader.Wait(wait, p.apply); err != nil {
			return err
		}
		now := p.clock().Mono
		p.alive(now)
		if found := p.reader.Stats.Repeated.Load(); found != repeated {
			repeated, room = found, now
		}
		switch {
		case !p.reader.Backlog() && now-room >= int64(repeatsAfter):
			return nil
		case now-began >= int64(lastPatience):
			p.unread = true
			return nil
		}
	}
}

// stop exports what moved up to now.
func (p *Probe) stop() error {
	p.manager.Tell(notify.Stopping)
	p.pacer.hurry = true
	err := p.readLast()
	now := p.clock()
	p.table.Flush(now)
	p.closeSinks(now)
	p.summary.end(p)
	if err != nil {
		return fmt.Errorf("the last reading failed, its bytes are missing: %w", err)
	}
	return nil
}

// Close gives up what the kernel keeps for us.
func (p *Probe) Close() error { return errors.Join(p.routes.Close(), p.reader.Close()) }
