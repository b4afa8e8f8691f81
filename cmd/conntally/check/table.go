package check

import (
	"fmt"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack/kernel"
)

// readingConditions returns the conditions that reading conntrack has shown, and
// those of the configuration.
func (s *State) readingConditions() (list []condition.Condition) {
	add := func(holds bool, id condition.ID, format string, args ...any) {
		if holds {
			list = append(list, condition.Condition{ID: id, Detail: fmt.Sprintf(format, args...)})
		}
	}
	if d := s.Dump; d != nil {
		add(d.Err != nil, condition.DumpFailed, "%v", d.Err)
		if d.Err == nil && s.isOn("acct") { // otherwise new connections are uncounted, too
			list = append(list, condition.OfEntries(&d.EntryStats)...)
		}
		if s.CountsOffloaded() { // otherwise it is known why
			list = append(list, condition.Frozen(d.SeenTwice, d.Moved)...)
		}
	}
	if e := s.EndEvent; e != nil {
		add(e.Err == nil && !e.Reported && s.isOn("events"), condition.EndsMissing,
			"a test connection was ended, and its end was not reported")
	}
	if s.BPF != nil && s.BPF.Err != nil {
		list = append(list, condition.OfSource(s.BPF.Err))
	}
	if s.BPF != nil && s.BPF.WalkErr != nil {
		add(true, condition.DumpsFellBack, "%v", s.BPF.WalkErr)
	}
	list = append(list, condition.OfNames(s.Names)...)
	list = append(list, s.Filters...)
	add(len(s.Zeroing) > 0, condition.CountersZeroed, "%s", strings.Join(s.Zeroing, ", "))
	add(s.Requirements.File && len(s.Requirements.Collectors) == 0, condition.NoCollector, "")
	if b, want := s.Buffer, s.Requirements.ReceiveBuffer; b != nil && b.Err == nil &&
		b.Granted < want {
		list = append(list, condition.Condition{
			ID: condition.BufferSmall,
			Detail: fmt.Sprintf("%s of %s: holds %d events",
				size(b.Granted), size(want), b.Granted/eventSize),
			Fix: fmt.Sprintf("sysctl -w net.core.rmem_max=%d", want),
		})
	}
	return list
}

// isOn reports whether a setting was read and is not 0.
func (s *State) isOn(name string) bool {
	v := s.setting(name)
	return v != nil && v.Err == nil && v.Was != 0
}

func tracking(s *State) Result {
	switch {
	case s.Loaded != nil || s.Answer != nil:
		return Result{}
	case s.Tracked == condition.TrackingOn:
		return ok("connections are tracked")
	case s.Tracked == condition.TrackingOff: // and track = true
		return ok("no rule enables connection tracking; conntally will (track = true)")
	case s.Tracked == condition.TrackingDoubted:
		return warn(kernel.TrackRule, "a test on loopback isn't tracked, but %s in the table: "+
			"either a rule exempts loopback, or no rule enables tracking any more",
			connections(s.Entries))
	}
	return warn("", "whether connections are tracked can't be tested")
}

func counters(s *State) Result {
	if s.Dump == nil || !s.isOn("acct") {
		return Result{}
	}
	return ok("connections without counters: 0 of %d", s.Dump.Entries)
}

func offload(s *State) Result {
	d := s.Dump
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

func table(s *State) Result {
	if s.Loaded != nil || s.Max <= 0 { // 0 is no limit
		return Result{}
	}
	if t := s.Statistics; t != nil && (t.Drop > 0 || t.EarlyDrop > 0) { // since boot
		return warn("", "the kernel has dropped packets or connections (drop %d, early_drop %d, "+
			"insert_failed %d, search_restart %d): if the table was full, increase "+
			"nf_conntrack_max",
			t.Drop, t.EarlyDrop, t.InsertFailed, t.SearchRestart)
	}
	if n := s.enoughBuckets(); n > 0 {
		return ok("%d of at most %d connections; %d hash buckets are far more than they need: "+
			"whatever lists them all, such as conntrack -L, holds up one core and its packets "+
			"for some %d to %d ms. Smaller: sysctl -w net.netfilter.nf_conntrack_buckets=%d; "+
			"permanently: options nf_conntrack hashsize=%d in /etc/modprobe.d",
			s.Entries, s.Max, s.Buckets, walkTime(s.Buckets, fastBucket),
			walkTime(s.Buckets, slowBucket), n, n)
	}
	return ok("%d of at most %d connections", s.Entries, s.Max)
}

const (
	// A table of manyBuckets is what the kernel makes with more than 1 GB of memory. It is far too
	// large with so many bucketsPerEntry.
	manyBuckets      = 65_536
	bucketsPerEntry  = 64
	bucketsSuggested = 16_384 // at least
	roomForMore      = 8      // buckets suggested per entry: there may be more at other times

	fastBucket, slowBucket = 9, 40 // ns of a walk, as measured on two machines
)

// enoughBuckets returns how many buckets would do for a hash table that is far too large, or 0.
func (s *State) enoughBuckets() int {
	if s.Buckets < manyBuckets || s.Buckets/bucketsPerEntry < s.Entries {
		return 0
	}
	n := bucketsSuggested
	for n < roomForMore*s.Entries {
		n *= 2
	}
	return n
}

// walkTime returns the time of a walk in ms, rounded up.
func walkTime(buckets, ns int) int { return (buckets/1000*ns + 999) / 1000 }

// eventSize is the share of one DESTROY event in the requested buffer size, in bytes. The
// kernel doubles the requested size; that number would overflow 32 bits for large buffers.
const eventSize = 1280 / 2

func buffer(s *State) Result {
	b, want := s.Buffer, s.Requirements.ReceiveBuffer
	switch {
	case b == nil:
		return Result{}
	case b.Err != nil:
		return warn("", "the largest receive buffer can't be tested: %v", b.Err)
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

func names(s *State) Result {
	if s.Requirements.Leases == nil {
		return Result{}
	}
	return ok("the files with names of devices can be read")
}

func filters(s *State) Result {
	if len(s.Requirements.Interfaces) == 0 {
		return Result{}
	}
	return ok("the interfaces that filters name are there")
}

// noCollector returns nothing: each configured collector has a line of its own.
func noCollector(*State) Result { return Result{} }
