package conntrack_test

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// TestSystemClock proves that the clock is between two readings of the kernel's clocks. A state
// file carries its times from one run of the program to the next.
func TestSystemClock(t *testing.T) {
	clock := conntrack.SystemClock()
	reading := func(id int32) int64 {
		var at unix.Timespec
		if err := unix.ClockGettime(id, &at); err != nil {
			t.Fatal(err)
		}
		return at.Nano()
	}
	const doubt = int64(time.Second) // a loaded machine may pause anywhere
	for range 3 {
		mono, wall := reading(unix.CLOCK_MONOTONIC), reading(unix.CLOCK_REALTIME)
		now := clock()
		if now.Mono < mono-doubt || now.Mono > reading(unix.CLOCK_MONOTONIC)+doubt {
			t.Errorf("%d is not CLOCK_MONOTONIC, which is %d", now.Mono, mono)
		}
		if now.Wall < wall-doubt || now.Wall > reading(unix.CLOCK_REALTIME)+doubt {
			t.Errorf("%d is not the time of day, which is %d", now.Wall, wall)
		}
	}
}
