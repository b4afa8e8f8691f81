// Package footprint keeps the memory of a program that runs for long small.
package footprint

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// heapGrowth is the heap growth in percent that starts a garbage collection (GOGC).
	// conntally's connections, events and records make no garbage and its table has no
	// pointers, so a collection is rare and takes a millisecond.
	heapGrowth = 25

	// A small heap may grow by megabytes before that, so free memory is also returned to
	// the system at intervals, for the first time once the start is over.
	releaseInterval = time.Minute
	firstRelease    = 5 * time.Second

	// maxProcs is GOMAXPROCS. One goroutine does nearly all work: a second processor
	// would only wake a thread that finds nothing to do, and takes memory of its own.
	maxProcs = 1
)

// Save keeps the memory that the Go runtime takes small until ctx is done. The
// environment variables GOGC and GOMAXPROCS take precedence. Without profiles, memory
// profiling is off.
func Save(ctx context.Context, profiles bool) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(maxProcs)
	}
	if !profiles {
		runtime.MemProfileRate = 0
	}
	go func() {
		for wait := firstRelease; ; wait = releaseInterval {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			Release()
		}
	}()
}

// Release returns free memory to the system at once, after work that takes a lot of it.
func Release() {
	debug.FreeOSMemory()
	releaseProgramPages()
}

// releaseProgramPages drops the program's code and constants from its resident memory. The
// start touches nearly all of them; the third that is needed afterwards is mapped again
// from the page cache on access.
func releaseProgramPages() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return // a kernel without CONFIG_PROC_PAGE_MONITOR
	}
	for _, m := range releasable(string(smaps), program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// releasable returns the mappings of file in smaps, proc(5), that are not writable and do
// not differ from the file, as relocated constants would.
func releasable(smaps, file string) (all []mapping) {
	var m mapping
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 6 && strings.Contains(fields[0], "-"):
			m = mapping{}
			ofFile := strings.HasSuffix(strings.TrimSpace(line), " "+file)
			if ofFile && !strings.Contains(fields[1], "w") {
				_, _ = fmt.Sscanf(fields[0], "%x-%x", &m.start, &m.end)
			}
		case len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && m.end > 0:
			all = append(all, m)
		}
	}
	return all
}
