package check

import (
	"context"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/bpf"
	"github.com/conntally/conntally/conntrack/ctnetlink"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
	"github.com/conntally/conntally/flow/host"
)

// Requirements is what the configuration asks of the machine.
type Requirements struct {
	File          bool // there is a configuration file
	Collectors    []export.CollectorConfig
	ReceiveBuffer int      // bytes
	BPF           bool     // ends are to be read by eBPF where that can be had
	Track         bool     // `conntally run` has connections tracked by a rule of its own
	Interfaces    []string // that filters name
	Leases        []string // files with names of devices; nil: names are not needed
	Command       string   // repeats the check
}

// State is the state of the machine. A pointer is nil where nothing was examined.
type State struct {
	Requirements Requirements
	*condition.Kernel

	Release string // of the kernel, as `uname -r` prints it
	Root    bool

	EndEvent   *EndEvent
	BPF        *BPF
	Dump       *Dump
	Buffer     *Buffer
	Statistics *kernel.Statistics
	Listeners  []kernel.Subscriber
	Zeroing    []string // running programs that are known to reset counters
	Names      []host.Problem
	Filters    []condition.Condition // of Requirements.Interfaces

	Collectors []CollectorResult
}

// BPF is the result of bpf.Try.
type BPF struct {
	Step    bpf.Step
	WalkErr error
	Err     error
}

// EndEvent is the result of kernel.ReportsEnds.
type EndEvent struct {
	Reported bool
	Err      error
}

// Dump is the result of one dump of the connection table, or of two.
type Dump struct {
	kernel.EntryStats // of the first dump
	// Moved and SeenTwice count offloaded entries: those whose counters grew until the second
	// dump, and those in both dumps.
	Moved, SeenTwice int
	Err              error
}

// Buffer is the result of ctnetlink.ReceiveBuffer.
type Buffer struct {
	Granted int // bytes
	Err     error
}

// CollectorResult is the result of export.ProbeCollector for one collector.
type CollectorResult struct {
	export.CollectorConfig
	To  netip.AddrPort // the resolved address
	Err error
}

// offloadInterval is the time between two dumps of offloaded entries. Hardware updates
// their counters about once a second.
const offloadInterval = 3 * time.Second

// ReadState reads the state of the machine. All but the collectors belongs to the calling
// thread's network namespace. ReadState changes no setting; it makes one conntrack entry of
// its own and deletes it.
func ReadState(ctx context.Context, r Requirements) *State {
	s := &State{Requirements: r, Release: unameRelease(), Root: os.Geteuid() == 0}
	if r.BPF {
		step, walkErr, err := bpf.Try(conntrack.SystemClock())
		s.BPF = &BPF{step, walkErr, err}
	}
	s.Kernel = condition.ReadKernel(condition.Ask{Available: true, Tracking: true,
		Flowtables: true, ByBPF: s.byBPF()})
	if s.Loaded == nil { // otherwise reading would load the module
		s.readConntrack(ctx)
	}
	if r.Leases != nil {
		n := host.NewNames(host.NamesOptions{Leases: r.Leases})
		n.Read()
		s.Names = n.Problems()
	}
	s.Filters = condition.OfFilters(r.Interfaces, func(name string) bool {
		_, err := net.InterfaceByName(name)
		return err == nil
	})
	s.Collectors = probeCollectors(ctx, r.Collectors)
	return s
}

// byBPF reports whether eBPF is to report ends, and can.
func (s *State) byBPF() bool { return s.BPF != nil && s.BPF.Err == nil }

func (s *State) readConntrack(ctx context.Context) {
	s.Listeners, _ = kernel.Subscribers()
	s.Zeroing = processesNamed(zeroing)
	if s.Answer != nil {
		return
	}
	if statistics, err := kernel.ReadStatistics(); err == nil {
		s.Statistics = &statistics
	}
	reported, err := kernel.ReportsEnds()
	s.EndEvent = &EndEvent{reported, err}
	granted, err := ctnetlink.ReceiveBuffer(s.Requirements.ReceiveBuffer)
	s.Buffer = &Buffer{granted, err}
	s.Dump = readDump(ctx)
}

func readDump(ctx context.Context) *Dump {
	first, err := kernel.CountEntries(ctnetlink.DumpOnce)
	d := &Dump{EntryStats: first, Err: err}
	if err != nil || first.Offloaded == 0 {
		return d
	}
	select {
	case <-ctx.Done():
	case <-time.After(offloadInterval):
	}
	second, err := kernel.CountEntries(ctnetlink.DumpOnce)
	d.Moved, d.SeenTwice = second.Moved(&first)
	d.Err = err
	return d
}

// probeCollectors sends to all collectors at the same time.
func probeCollectors(ctx context.Context, targets []export.CollectorConfig) []CollectorResult {
	results := make([]CollectorResult, len(targets))
	var all sync.WaitGroup
	for i, t := range targets {
		all.Go(func() {
			to, err := export.ProbeCollector(ctx, t, conntrack.SystemClock())
			results[i] = CollectorResult{t, to, err}
		})
	}
	all.Wait()
	return results
}

func unameRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
