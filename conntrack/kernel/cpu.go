package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// ThreadCPU returns the CPU time, user and system, that the calling thread has used: what
// getrusage(2) counts for RUSAGE_THREAD, in nanoseconds. Between two calls that are
// compared, the goroutine must be locked to its thread.
func ThreadCPU() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now) != nil {
		return 0
	}
	return time.Duration(now.Nano())
}
