package flow

import "github.com/conntally/conntally/conntrack"

// Saved is how much of a living conntrack entry has been exported. It is what a
// restart has to know in order to count no byte twice and to lose none.
type Saved struct {
	Key conntrack.Key
	// Sent are the kernel's cumulative counters up to which everything is
	// exported, or is from before our time.
	Sent  [2]conntrack.Counters
	Until int64 // when the last record ended, ns since 1970 (system clock)
}
