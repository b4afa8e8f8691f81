package conntrack

import (
	"time"

	"golang.org/x/sys/unix"
)

// Timestamp is one moment on two clocks, in nanoseconds.
type Timestamp struct {
	Mono int64 // since an arbitrary moment, the same for all of a boot; never steps: for durations
	Wall int64 // since 1970; steps with the system clock, as the kernel's time stamps do
}

// Clock returns the current time.
type Clock func() Timestamp

// SystemClock returns the machine's clock. Its Mono is CLOCK_MONOTONIC, which goes on
// from one process to the next.
func SystemClock() Clock {
	begin := time.Now()
	var at unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &at) // every Linux has it
	return func() Timestamp {
		now := time.Now()
		return Timestamp{Mono: at.Nano() + int64(now.Sub(begin)), Wall: now.UnixNano()}
	}
}
