package probe

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/config"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/bpf"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/flow/host"
	"github.com/conntally/conntally/flow/route"
)

// observer is a probe that a test drives step by step.
type observer struct {
	*loop
	k *conntracktest.Kernel
}

func newObserver(t *testing.T) *observer {
	k := conntracktest.New()
	o := &observer{newLoop(t, k.Reader(), k.Clock()), k}
	o.bind()
	o.poll()
	return o
}

// poll advances the clock by a minute, then reads and observes as the loop does.
func (o *observer) poll() {
	o.t.Helper()
	o.k.Advance(time.Minute)
	if err := o.reader.Wait(0, o.apply); err != nil {
		o.t.Fatal(err)
	}
	o.dump()
	o.observeCounters(o.clock())
}

func (o *observer) create(n int, status conntrack.Status) (keys []conntrack.Key) {
	for i := range n {
		tuple := faultTuple()
		tuple.SrcPort = uint16(i)
		keys = append(keys, o.k.Create(conntrack.Event{Orig: tuple, Status: status}))
		o.k.Count(keys[i], conntrack.Original, 1, 100)
	}
	return keys
}

// resizeOnce resizes the kernel's table during a dump.
func (o *observer) resizeOnce() {
	n := 1000
	o.create(500, 0) // more than a chunk
	o.reader.OnChunk = func() { n++; o.k.SetBuckets(n) }
	o.poll()
	o.reader.OnChunk = func() {}
}

// injections returns a function for each condition of the probe, which causes it and returns
// while it holds.
func injections() map[condition.ID]func(*observer) {
	return map[condition.ID]func(*observer){
		condition.DumpFailed:     func(o *observer) { o.k.FailDump(unix.ENOMEM); o.poll() },
		condition.EventsLost:     func(o *observer) { o.k.Overrun(); o.poll() },
		condition.Malformed:      func(o *observer) { o.k.InjectEvent(make([]byte, 8)); o.poll() },
		condition.TableResized:   (*observer).resizeOnce,
		condition.EndsMissing:    (*observer).missEnds,
		condition.EndsLate:       (*observer).endLate,
		condition.CountersZeroed: (*observer).zeroCounters,
		condition.TableFull:      (*observer).fillTable,
		condition.PollsStretched: func(o *observer) {
			o.pacer.maxCPU = 1e-9
			o.poll()
			o.pacer.maxCPU = 1e9
		},
	}
}

func (o *observer) missEnds() {
	keys := o.create(20, 0)
	o.poll()
	for _, key := range keys {
		o.k.LoseDestroy(key)
	}
	o.poll()
	o.poll()
}

// endLate has an end come, as eBPF reports it, of what has disappeared before.
func (o *observer) endLate() {
	key := o.create(1, 0)[0]
	o.poll()
	o.k.LoseDestroy(key)
	stop := o.clock()
	for range 3 {
		o.poll()
	}
	e := conntrack.Event{
		Type: conntrack.Destroy, At: o.clock(), Once: true, Counted: true, Orig: key.Orig,
		Zone: key.Zone, ReplyZone: key.ReplyZone, ID: key.ID, Start: key.Start, Stop: stop.Wall,
	}
	o.apply(&e)
	o.poll()
}

func (o *observer) zeroCounters() {
	key := o.create(1, 0)[0]
	o.poll()
	o.k.Update(key, func(e *conntrack.Event) { e.Counters = [2]conntrack.Counters{} })
	o.poll()
}

func (o *observer) fillTable() {
	o.config.Flow.MaxFlows = 5
	for _, key := range o.create(20, 0) {
		defer o.k.Destroy(key)
	}
	o.poll()
}

// clearingInjections returns what makes each condition that is cleared by an event instead
// of by polls without the fault: each holds within, and not afterwards.
func clearingInjections() map[condition.ID]func(*observer) {
	return map[condition.ID]func(*observer){
		condition.StateFailed: func(o *observer) {
			o.stateWritten(unix.ENOSPC)
			defer o.stateWritten(nil)
			o.expect(condition.StateFailed)
		},
		condition.NamesUnreadable: func(o *observer) {
			o.names = host.NewNames(host.NamesOptions{Leases: []string{"/proc/self/nothing"}})
			o.names.Read()
			o.observeNames(o.clock())
			o.expect(condition.NamesUnreadable)
			o.names = host.NewNames(host.NamesOptions{})
			o.observeNames(o.clock())
		},
		condition.DumpsFellBack: func(o *observer) {
			o.config.Conntrack.Ends = config.EndsByBPF
			o.source.Store(&source{step: bpf.Fentry})
			o.observeWalk(o.clock(), bpf.ErrNoTable)
			defer o.observeWalk(o.clock(), nil)
			o.expect(condition.DumpsFellBack)
		},
		condition.FilterInterface: func(o *observer) {
			o.openRoutes()
			o.config.Filters = []config.Filter{{Interfaces: []string{"lo", "nosuch0", "nosuch0"}}}
			o.observeFilters(o.clock())
			o.expect(condition.FilterInterface)
			o.config.Filters[0].Interfaces = []string{"lo"}
			o.observeFilters(o.clock())
		},
		condition.BufferSmall: func(o *observer) {
			o.observeBuffer(o.clock(), 1000)
			defer o.observeBuffer(o.clock(), 1<<30)
			o.expect(condition.BufferSmall)
		},
		condition.OffloadFrozen: func(o *observer) {
			keys := o.create(3, conntrack.Offload)
			o.poll()
			o.poll()
			o.expect(condition.OffloadFrozen)
			o.k.Count(keys[0], conntrack.Original, 1, 100)
			o.poll()
			o.expect()
			for _, key := range keys { // otherwise their counters don't change from now on
				o.k.Destroy(key)
			}
		},
	}
}

// openRoutes lets the probe know the interfaces of the machine.
func (o *observer) openRoutes() {
	routes, err := route.Open(route.Options{Clock: o.clock})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { routes.Close() })
	o.routes = routes
}

// TestFaultsRaiseConditions: each fault of the kernel raises its condition and no other,
// and the condition is cleared once the fault no longer happens.
func TestFaultsRaiseConditions(t *testing.T) {
	for id, inject := range injections() {
		t.Run(string(id), func(t *testing.T) {
			o := newObserver(t)
			o.expect()
			inject(o)
			o.expect(id)
			o.expectCleared()
		})
	}
	for id, inject := range clearingInjections() {
		t.Run(string(id), func(t *testing.T) {
			o := newObserver(t)
			o.expect()
			inject(o)
			o.expectCleared()
		})
	}
}

// expectCleared fails unless no condition holds after a few polls without faults.
func (o *observer) expectCleared() {
	o.t.Helper()
	for range 4 {
		o.poll()
	}
	o.expect()
}

// expect compares the conditions that hold. want has at most one.
func (o *observer) expect(want ...condition.ID) {
	o.t.Helper()
	got := o.conditions.Snapshot()
	if len(got) != len(want) || len(want) > 0 && got[0].ID != want[0] {
		o.t.Errorf("%v hold, want %v", got, want)
	}
}

// TestLostEventsDoNotRaiseEndsMissing: a full receive buffer explains missed events.
func TestLostEventsDoNotRaiseEndsMissing(t *testing.T) {
	o := newObserver(t)
	keys := o.create(20, 0)
	o.poll()
	for _, key := range keys {
		o.k.LoseDestroy(key)
	}
	o.pacer.poll = time.Minute
	o.k.Overrun()
	for range 3 {
		o.poll()
	}
	if o.conditions.Holds(condition.EndsMissing) {
		t.Error("raised although the receive buffer was full")
	}
}

// TestFlowtableWithoutCounterExplainsFrozenCounters: the counters of its connections don't
// change, which is one fault, not two.
func TestFlowtableWithoutCounterExplainsFrozenCounters(t *testing.T) {
	o := newObserver(t)
	o.readKernel = func(a condition.Ask) *condition.Kernel {
		k := healthyKernel(a)
		k.Flowtables = []kernel.Flowtable{{Family: 1, Table: "t", Name: "f"}}
		return k
	}
	o.create(3, conntrack.Offload)
	o.poll()
	o.poll()
	o.expect(condition.FlowtableSilent)
}

// TestKernelStateRaisesConditions: a condition of the kernel holds as long as the kernel's
// state shows it.
func TestKernelStateRaisesConditions(t *testing.T) {
	for id, change := range map[condition.ID]func(*condition.Kernel){
		condition.ConntrackMissing: func(k *condition.Kernel) { k.Loaded = fs.ErrNotExist },
		condition.NetlinkMissing:   func(k *condition.Kernel) { k.Answer = kernel.ErrNotLoaded },
		condition.NotTracked:       func(k *condition.Kernel) { k.Tracked = condition.TrackingOff },
		condition.FlowtableSilent: func(k *condition.Kernel) {
			k.Flowtables = []kernel.Flowtable{{Family: 1, Table: "t", Name: "f"}}
		},
		condition.KernelTableFull: func(k *condition.Kernel) { k.Entries, k.Max = 80, 100 },
		condition.BridgeNetfilter: func(k *condition.Kernel) { k.BridgeNetfilter = true },
		condition.ClockUnset:      func(k *condition.Kernel) { k.Clock.Now = time.Unix(0, 0) },
		condition.ClockUnsynced:   func(k *condition.Kernel) { k.Clock.Synced = false },
		condition.EventsAuto: func(k *condition.Kernel) {
			k.Settings = []kernel.Setting{{
				Name: "net.netfilter.nf_conntrack_events", Want: 1, Was: 2,
				Err: errors.New("read-only"),
			}}
		},
	} {
		t.Run(string(id), func(t *testing.T) {
			o := newObserver(t)
			o.readKernel = func(a condition.Ask) *condition.Kernel {
				k := healthyKernel(a)
				change(k)
				return k
			}
			o.poll()
			o.expect(id)
			o.readKernel = healthyKernel
			o.poll()
			o.expect()
		})
	}
}

// TestNotTrackedHoldsUntilTrackingIsSeen: neither old connections that end, as after a
// `conntrack -F`, nor a test that fails prove that connections are tracked again.
func TestNotTrackedHoldsUntilTrackingIsSeen(t *testing.T) {
	o := newObserver(t)
	keys := o.create(2, 0)
	tracked := condition.TrackingDoubted // by what a test shows
	o.readKernel = func(a condition.Ask) *condition.Kernel {
		k := healthyKernel(a)
		if k.Tracked = condition.TrackingUnknown; a.Tracking {
			k.Tracked = tracked
		}
		return k
	}
	o.observed.tracked = true
	o.poll()
	o.expect(condition.NotTracked)
	o.k.Destroy(keys[0])
	o.poll()
	o.expect(condition.NotTracked)
	tracked = condition.TrackingUnknown
	o.poll()
	o.expect(condition.NotTracked)
	tracked = condition.TrackingOn
	o.k.Destroy(keys[1])
	o.poll()
	o.expect()
}
