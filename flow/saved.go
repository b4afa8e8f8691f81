package flow

import "github.com/conntally/conntally/conntrack"

// Checkpoint is how much of a living conntrack entry has been exported. It is what a
// restart has to know in order to count no byte twice and to lose none.
type Checkpoint struct {
	Key conntrack.Key
	// Sent are the kernel's cumulative counters up to which everything is
	// exported, or is from before our time.
	Sent [2]conntrack.Counters
	// Until is when the next record starts if the entry moves again: when the last
	// one ended, or when the entry was last seen at rest, ns of CLOCK_MONOTONIC.
	Until int64
}
