package check

import (
	"net/netip"
	"time"

	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// Wanted is what the configuration asks for.
type Wanted struct {
	Collectors    []export.Target
	ReceiveBuffer int    // bytes
	Track         bool   // conntally has connections tracked itself
	Command       string // that looks again
}

// Facts is what was found. A pointer is nil where there was no looking.
type Facts struct {
	Wanted Wanted

	Release  string // of the kernel, as uname -r has it
	Root     bool
	Loaded   error // why nf_conntrack's settings can't be read
	Answer   error // kernel.Available's
	Settings []kernel.Setting
	Entries  int // of the table
	Max      int

	Tracking  *Tracking
	Census    *Census
	Buffer    *Buffer
	Listeners []kernel.Subscriber
	Clock     Clock

	Collectors []Reached
}

// Tracking is the answer of kernel.Tracking.
type Tracking struct {
	On  bool
	Err error
}

// Census is what two looks at the table have shown.
type Census struct {
	kernel.Census     // the first
	Moved, Met    int // of the offloaded entries, at the second
	Flowtables    []kernel.Flowtable
	Err           error
}

// Buffer is what ctnetlink.ReceiveBuffer grants.
type Buffer struct {
	Granted int
	Err     error
}

// Clock is the system's.
type Clock struct {
	Now     time.Time
	Synced  bool
	Systemd bool // runs the machine
}

// Reached is what came of export.Knock.
type Reached struct {
	export.Target
	To  netip.AddrPort
	Err error
}
