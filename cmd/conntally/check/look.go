package check

import (
	"context"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// offloadWatch lies between two looks at offloaded entries. Hardware reports its
// counters once a second or so.
const offloadWatch = 3 * time.Second

// Look reads the machine, in the calling thread's network namespace but for the
// collectors. It changes no setting; one entry of its own comes and goes.
func Look(ctx context.Context, w Wanted) *Facts {
	f := &Facts{Wanted: w, Release: unameRelease(), Root: os.Geteuid() == 0}
	f.Kernel = condition.ReadKernel(condition.Ask{Available: true, Tracking: true, Flowtables: true})
	if f.Loaded == nil {
		f.conntrack(ctx)
	}
	f.Collectors = knock(ctx, w.Collectors)
	return f
}

// conntrack looks where nf_conntrack is loaded: else a look would load it.
func (f *Facts) conntrack(ctx context.Context) {
	f.Listeners, _ = kernel.Subscribers()
	f.Zeroing = programs(zeroing)
	if f.Answer != nil {
		return
	}
	if s, err := kernel.ReadStatistics(); err == nil {
		f.Statistics = &s
	}
	reported, err := kernel.ReportsEnds()
	f.Ends = &Ends{reported, err}
	granted, err := ctnetlink.ReceiveBuffer(f.Wanted.ReceiveBuffer)
	f.Buffer = &Buffer{granted, err}
	f.Dump = countEntries(ctx)
}

func countEntries(ctx context.Context) *Dump {
	first, err := kernel.CountEntries(ctnetlink.Look)
	d := &Dump{EntryStats: first, Err: err}
	if err != nil || first.Offloaded == 0 {
		return d
	}
	select {
	case <-ctx.Done():
	case <-time.After(offloadWatch):
	}
	second, err := kernel.CountEntries(ctnetlink.Look)
	d.Moved, d.Met = second.Moved(&first)
	d.Err = err
	return d
}

// knock tries all collectors at once.
func knock(ctx context.Context, targets []export.Target) []Reached {
	reached := make([]Reached, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			to, err := export.Knock(ctx, t, conntrack.SystemClock())
			reached[i] = Reached{t, to, err}
		})
	}
	all.Wait()
	return reached
}

func unameRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
