package check

import (
	"fmt"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack/kernel"
)

// ofReading returns the conditions that trying to read conntrack has shown.
func (f *Facts) ofReading() (list []condition.Condition) {
	add := func(holds bool, id condition.ID, format string, args ...any) {
		if holds {
			list = append(list, condition.Condition{ID: id, Detail: fmt.Sprintf(format, args...)})
		}
	}
	if d := f.Dump; d != nil {
		add(d.Err != nil, condition.DumpFailed, "%v", d.Err)
		if d.Err == nil && f.isOn("acct") { // else new ones come all the time
			list = append(list, condition.OfEntries(&d.EntryStats)...)
		}
		list = append(list, condition.Frozen(d.Met, d.Moved)...)
	}
	add(f.Ends != nil && f.Ends.Err == nil && !f.Ends.Reported && f.isOn("events"), condition.EndsMissing,
		"one was made, and none was reported")
	add(len(f.Zeroing) > 0, condition.CountersZeroed, "%s", strings.Join(f.Zeroing, ", "))
	add(f.Wanted.File && len(f.Wanted.Collectors) == 0, condition.NoCollector, "")
	if b, want := f.Buffer, f.Wanted.ReceiveBuffer; b != nil && b.Err == nil && b.Granted < want {
		list = append(list, condition.Condition{
			ID:     condition.BufferSmall,
			Detail: fmt.Sprintf("%s of %s: holds %d events", size(b.Granted), size(want), b.Granted/eventSize),
			Fix:    fmt.Sprintf("sysctl -w net.core.rmem_max=%d", want),
		})
	}
	return list
}

// isOn reports whether a setting is known not to be 0.
func (f *Facts) isOn(name string) bool {
	s := f.setting(name)
	return s != nil && s.Err == nil && s.Was != 0
}

func tracking(f *Facts) Result {
	switch {
	case f.Loaded != nil || f.Answer != nil:
		return Result{}
	case f.Tracked == condition.TrackingOn:
		return ok("connections are tracked")
	case f.Tracked == condition.TrackingOff: // and track = true
		return ok("no rule has connections tracked; conntally will (track = true)")
	case f.Tracked == condition.TrackingDoubted:
		return warn(kernel.TrackRule, "loopback isn't tracked, where that is tried out, and %s in the table: a rule exempts loopback, or none asks for tracking any more", connections(f.Entries))
	}
	return warn("", "whether connections are tracked can't be tried out")
}

func counters(f *Facts) Result {
	if f.Dump == nil || !f.isOn("acct") {
		return Result{}
	}
	return ok("connections without counters: 0 of %d", f.Dump.Entries)
}

func offload(f *Facts) Result {
	d := f.Dump
	switch {
	case d == nil || d.Err != nil:
		return Result{}
	case d.Offloaded > 0:
		return ok("%s offloaded, and counted", connections(d.Offloaded))
	}
	return ok("no connection is offloaded")
}

func connections(n int) string {
	if n == 1 {
		return "1 connection is"
	}
	return fmt.Sprintf("%d connections are", n)
}

func table(f *Facts) Result {
	if f.Loaded != nil || f.Max <= 0 { // 0 is no limit
		return Result{}
	}
	if s := f.Statistics; s != nil && (s.Drop > 0 || s.EarlyDrop > 0) { // at any time since it began
		return warn("", "the kernel has dropped packets or connections (drop %d, early_drop %d, insert_failed %d, "+
			"search_restart %d): if the table was full, a larger nf_conntrack_max helps",
			s.Drop, s.EarlyDrop, s.InsertFailed, s.SearchRestart)
	}
	return ok("%d connections of %d at most", f.Entries, f.Max)
}

// eventSize is what one DESTROY takes of a buffer, in bytes of what was asked for: the
// kernel has twice that in force, which in 32 bits overflows for the largest ones.
const eventSize = 1280 / 2

func buffer(f *Facts) Result {
	b, want := f.Buffer, f.Wanted.ReceiveBuffer
	switch {
	case b == nil:
		return Result{}
	case b.Err != nil:
		return warn("", "how large a receive buffer may be can't be tried out: %v", b.Err)
	}
	return ok("receive buffer %s: holds %d events", size(want), want/eventSize)
}

func size(n int) string {
	for _, unit := range []struct {
		size int
		name string
	}{{1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.4g %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// noCollector: without a file there is no telling, and each that there is has its own line.
func noCollector(*Facts) Result { return Result{} }
