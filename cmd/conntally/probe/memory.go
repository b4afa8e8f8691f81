package probe

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
	// heapGrowth is by how many percent the heap may grow before what nobody needs is
	// collected. Connections, events and records leave nothing behind and the table
	// has no pointers, so collecting is rare, and takes a millisecond.
	heapGrowth = 25

	// A small heap may grow by a megabyte before. This often it is collected anyway,
	// and what is free is given back to the system; first when the start is over.
	tidyInterval = time.Minute
	startTime    = 5 * time.Second

	// cores is how many may work at a time. The probe does nearly all: with a second
	// one each wake-up wakes another thread, which finds no work. The runtime keeps
	// memory for each, too.
	cores = 1
)

// SaveMemory keeps what the runtime takes of a small router's memory low, until ctx is
// done. The variables GOGC and GOMAXPROCS have their say.
func SaveMemory(ctx context.Context, profiles bool) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(cores)
	}
	if !profiles {
		runtime.MemProfileRate = 0
	}
	go func() {
		for wait := startTime; ; wait = tidyInterval {
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			debug.FreeOSMemory()
			releaseProgramPages()
		}
	}()
}

// releaseProgramPages unmaps the program's own code and constants. The start touches nearly
// all of them, running needs a third, which comes back by itself: out of the page cache,
// where the rest can now make room for others.
func releaseProgramPages() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	smaps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return // such as without CONFIG_PROC_PAGE_MONITOR
	}
	for _, m := range releasable(string(smaps), program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, m.start, m.end-m.start, unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ start, end uintptr }

// releasable returns the mappings of a file, out of what proc(5) calls smaps, which are not
// writable and hold nothing that differs from the file, as relocated constants do.
func releasable(smaps, file string) (all []mapping) {
	var m mapping
	for line := range strings.Lines(smaps) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 6 && strings.Contains(fields[0], "-"):
			m = mapping{}
			if name := strings.TrimSpace(line); strings.HasSuffix(name, " "+file) && !strings.Contains(fields[1], "w") {
				_, _ = fmt.Sscanf(fields[0], "%x-%x", &m.start, &m.end)
			}
		case len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && m.end > 0:
			all = append(all, m)
		}
	}
	return all
}
