package probe

import (
	"errors"
	"io/fs"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/conntracktest"
	"github.com/conntally/conntally/conntrack/kernel"
)

// observer is a probe whose every step the test takes.
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

// poll has a minute pass, and then reads and looks as the loop does.
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

func (o *observer) resizeOnce() {
	n := 1000
	o.create(500, 0) // more than a chunk
	o.reader.OnChunk = func() { n++; o.k.SetBuckets(n) }
	o.poll()
	o.reader.OnChunk = func() {}
}

// TestFaultsAreConditions injects what the kernel may do, each of which raises its
// condition, and no other of these; and is over when it doesn't happen any more.
func TestFaultsAreConditions(t *testing.T) {
	injected := map[condition.ID]func(*observer){
		condition.DumpFailed:   func(o *observer) { o.k.FailDump(unix.ENOMEM); o.poll() },
		condition.EventsLost:   func(o *observer) { o.k.Overrun(); o.poll() },
		condition.Malformed:    func(o *observer) { o.k.InjectEvent(make([]byte, 8)); o.poll() },
		condition.TableResized: (*observer).resizeOnce,
		condition.EndsMissing: func(o *observer) {
			keys := o.create(20, 0)
			o.poll()
			for _, key := range keys {
				o.k.LoseDestroy(key)
			}
			o.poll()
			o.poll()
		},
		condition.CountersZeroed: func(o *observer) {
			key := o.create(1, 0)[0]
			o.poll()
			o.k.Update(key, func(e *conntrack.Event) { e.Counters = [2]conntrack.Counters{} })
			o.poll()
		},
		condition.TableFull: func(o *observer) {
			o.config.Flow.MaxFlows = 5
			for _, key := range o.create(20, 0) {
				defer o.k.Destroy(key)
			}
			o.poll()
		},
		condition.PollsStretched: func(o *observer) {
			o.pacer.maxCPU = 1e-9
			o.poll()
			o.pacer.maxCPU = 1e9
		},
		condition.StateFailed: func(o *observer) {
			o.stateWritten(unix.ENOSPC)
			defer o.stateWritten(nil)
			o.holds(condition.StateFailed)
		},
		condition.BufferSmall: func(o *observer) {
			o.observeBuffer(o.clock(), 1000)
			defer o.observeBuffer(o.clock(), 1<<30)
			o.holds(condition.BufferSmall)
		},
		condition.OffloadFrozen: func(o *observer) {
			keys := o.create(3, conntrack.Offload)
			o.poll()
			o.poll()
			o.holds(condition.OffloadFrozen)
			o.k.Count(keys[0], conntrack.Original, 1, 100)
			o.poll()
			o.holds()
			for _, key := range keys { // else they rest from now on
				o.k.Destroy(key)
			}
		},
	}
	momentary := map[condition.ID]bool{condition.StateFailed: true, condition.BufferSmall: true, condition.OffloadFrozen: true}
	for id, inject := range injected {
		t.Run(string(id), func(t *testing.T) {
			o := newObserver(t)
			o.holds()
			inject(o)
			if !momentary[id] {
				o.holds(id)
			}
			for range 4 {
				o.poll()
			}
			o.holds()
		})
	}
}

// holds compares what holds, but for what the machine of the test may lack.
func (o *observer) holds(want ...condition.ID) {
	o.t.Helper()
	got := o.conditions.Snapshot()
	if len(got) != len(want) || len(want) > 0 && got[0].ID != want[0] {
		o.t.Errorf("%v hold, want %v", got, want)
	}
}

// TestEndsMissingExplained: what a full buffer lost is no sign of another fault.
func TestEndsMissingExplained(t *testing.T) {
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
		t.Error("the lost events were not taken for the cause")
	}
}

// TestKernelConditions: what the kernel says of itself holds until it says otherwise.
func TestKernelConditions(t *testing.T) {
	for id, change := range map[condition.ID]func(*condition.Kernel){
		condition.ConntrackMissing: func(k *condition.Kernel) { k.Loaded = fs.ErrNotExist },
		condition.NetlinkMissing:   func(k *condition.Kernel) { k.Answer = kernel.ErrNotLoaded },
		condition.NotTracked:       func(k *condition.Kernel) { k.Tracked = condition.TrackingOff },
		condition.FlowtableSilent:  func(k *condition.Kernel) { k.Flowtables = []kernel.Flowtable{{Family: 1, Table: "t", Name: "f"}} },
		condition.KernelTableFull:  func(k *condition.Kernel) { k.Entries, k.Max = 80, 100 },
		condition.BridgeNetfilter:  func(k *condition.Kernel) { k.BridgeNetfilter = true },
		condition.ClockUnset:       func(k *condition.Kernel) { k.Clock.Now = time.Unix(0, 0) },
		condition.ClockUnsynced:    func(k *condition.Kernel) { k.Clock.Synced = false },
		condition.EventsAuto: func(k *condition.Kernel) {
			k.Settings = []kernel.Setting{{Name: "net.netfilter.nf_conntrack_events", Want: 1, Was: 2, Err: errors.New("read-only")}}
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
			o.holds(id)
			o.readKernel = healthyKernel
			o.poll()
			o.holds()
		})
	}
}
