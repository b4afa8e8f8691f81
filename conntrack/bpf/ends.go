package bpf

import (
	"bufio"
	"errors"
	"math/bits"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/internal/poll"
)

// ends is a loaded and attached program, and what it reports.
type ends struct {
	step   Step
	ring   ring
	lost   *atomic.Uint64 // ends that found the ring full, counted by the program
	missed func() uint64  // times that the kernel skipped the program
	fd     int            // readable while the ring has a record
	poller *poll.Poller
	walk   *walk // nil: it can't be had, for the reason walkErr
	close  func()

	walkErr error

	known uint64 // of lost and missed, those that takeLost has returned
	skips uint64 // missed, when refresh last asked
	retry func(uintptr) bool
}

// wait waits for at most d for a record.
func (e *ends) wait(d time.Duration) error {
	if e.retry == nil {
		e.retry = func(uintptr) bool { return e.ring.waiting() }
	}
	err := e.poller.Wait(e.fd, d, e.retry)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

// refresh asks the kernel how often it skipped the program. That costs too much to do at each wait.
func (e *ends) refresh() { e.skips = max(e.skips, e.missed()) }

// takeLost returns how many ends were lost since the last call. Skips are included: each may have
// been an end, of this network namespace or of another.
func (e *ends) takeLost() uint64 {
	total := e.lost.Load() + e.skips
	n := total - e.known
	e.known = total
	return n
}

// eventBytes is what one record takes of the ring.
const eventBytes = recordSize + headerSize

// sizes of what the programs write, each a power of 2, as the kernel demands.
type sizes struct {
	ring int // bytes, at least a page
	sets int // of first packets, of four connections each
}

// sizesFor returns the sizes of a ring of at least so many bytes, and of sets for so many living
// connections. A first packet takes 32 bytes.
func sizesFor(ring, connections int) sizes {
	const mostRing, leastSets, mostSets = 1 << 30, 256, 1 << 17
	return sizes{
		ring: powerOf2(min(max(ring, os.Getpagesize()), mostRing)),
		sets: powerOf2(min(max(connections/4, leastSets), mostSets)),
	}
}

// powerOf2 returns the smallest power of 2 that is at least n.
func powerOf2(n int) int { return 1 << bits.Len(uint(n-1)) }

// jiffies returns the number of the kernel's jiffies in a second: the coarse clock's resolution
// is one.
func jiffies() int32 {
	var resolution unix.Timespec
	err := unix.ClockGetres(unix.CLOCK_MONOTONIC_COARSE, &resolution)
	if err != nil || resolution.Nano() <= 0 {
		return 250 // never, by Linux 2.6.32 and later
	}
	return int32((int64(time.Second) + resolution.Nano()/2) / resolution.Nano())
}

// isFunction reports whether the kernel has a function.
func isFunction(name string) bool {
	f, err := os.Open("/proc/kallsyms")
	if err != nil {
		return true // not known
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) >= 3 && fields[2] == name {
			return true
		}
	}
	return false
}

// isLoaded reports whether the kernel has connection tracking.
func isLoaded() bool {
	_, err := os.Stat("/sys/module/nf_conntrack")
	return err == nil
}

// ownNamespace returns the inode of the calling thread's network namespace.
func ownNamespace() (uint32, error) {
	const path = "/proc/thread-self/ns/net"
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return uint32(st.Ino), nil
}

var _ conntrack.Source = (*Source)(nil)
