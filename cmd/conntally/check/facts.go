package check

import (
	"net/netip"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// Wanted is what the configuration asks for.
type Wanted struct {
	File          bool // there is a configuration file
	Collectors    []export.Target
	ReceiveBuffer int    // bytes
	Track         bool   // conntally has connections tracked itself
	Command       string // that looks again
}

// Facts is what was found. A pointer is nil where there was no looking.
type Facts struct {
	Wanted Wanted
	*condition.Kernel

	Release string // of the kernel, as uname -r has it
	Root    bool

	Ends       *Ends
	Dump       *Dump
	Buffer     *Buffer
	Statistics *kernel.Statistics
	Listeners  []kernel.Subscriber
	Zeroing    []string // programs that run and are known to zero counters

	Collectors []Reached
}

// Ends is the answer of kernel.ReportsEnds.
type Ends struct {
	Reported bool
	Err      error
}

// Dump is what two dumps of the table have shown.
type Dump struct {
	kernel.EntryStats     // of the first
	Moved, Met        int // of the offloaded entries, at the second
	Err               error
}

// Buffer is what kernel.ReceiveBuffer grants.
type Buffer struct {
	Granted int
	Err     error
}

// Reached is what came of export.Knock.
type Reached struct {
	export.Target
	To  netip.AddrPort
	Err error
}
