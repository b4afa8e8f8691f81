package check

import (
	"context"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// offloadWatch lies between two looks at offloaded entries. Hardware reports its
// counters once a second or so.
const offloadWatch = 3 * time.Second

// Look reads the machine, in the calling thread's network namespace but for the
// collectors, and changes nothing.
func Look(ctx context.Context, w Wanted) *Facts {
	f := &Facts{Wanted: w, Release: release(), Root: os.Geteuid() == 0, Clock: readClock()}
	f.Max, f.Loaded = kernel.ReadSysctl("max")
	if f.Loaded == nil {
		f.conntrack(ctx)
	}
	f.Collectors = knock(ctx, w.Collectors)
	return f
}

// conntrack looks where nf_conntrack is loaded: else a look would load it.
func (f *Facts) conntrack(ctx context.Context) {
	f.Entries, _ = kernel.ReadSysctl("count")
	f.Settings = kernel.Settings()
	f.Listeners, _ = kernel.Subscribers()
	if f.Answer = kernel.Available(); f.Answer != nil {
		return
	}
	on, err := kernel.Tracking()
	f.Tracking = &Tracking{on, err}
	granted, err := ctnetlink.ReceiveBuffer(f.Wanted.ReceiveBuffer)
	f.Buffer = &Buffer{granted, err}
	f.Census = takeCensus(ctx)
}

func takeCensus(ctx context.Context) *Census {
	first, err := kernel.TakeCensus(ctnetlink.Look)
	c := &Census{Census: first, Err: err}
	if err != nil {
		return c
	}
	c.Flowtables, _ = kernel.Flowtables() // none without nftables
	if first.Offloaded == 0 {
		return c
	}
	select {
	case <-ctx.Done():
	case <-time.After(offloadWatch):
	}
	second, err := kernel.TakeCensus(ctnetlink.Look)
	c.Moved, c.Met = second.Moved(first)
	c.Err = err
	return c
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

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func readClock() Clock {
	var t unix.Timex // asks, and sets nothing
	state, err := unix.Adjtimex(&t)
	_, noSystemd := os.Stat("/run/systemd/system") // sd_booted(3)
	return Clock{
		Now:     time.Now(),
		Synced:  err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0,
		Systemd: noSystemd == nil,
	}
}
