package conntrack

import "time"

// Instant is one moment, read off two clocks at once, in nanoseconds.
type Instant struct {
	Mono int64 // since an arbitrary moment; never steps: for durations
	Wall int64 // since 1970; steps with the system clock, as the kernel's time stamps do
}

// Clock tells the present moment.
type Clock func() Instant

// SystemClock returns the machine's clock. Its Mono begins at the call.
func SystemClock() Clock {
	begin := time.Now()
	return func() Instant {
		now := time.Now()
		return Instant{Mono: int64(now.Sub(begin)), Wall: now.UnixNano()}
	}
}
