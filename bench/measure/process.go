package measure

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Process is what a program takes, all its processes and threads together.
type Process struct {
	CPU  time.Duration
	Peak int // bytes of memory that were resident at most (VmHWM), what they share once
}

// Family returns the processes of the PID namespace whose first process is init, as
// this process numbers them, without init itself.
func Family(init int) (pids []int, err error) {
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", init))
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == init {
			continue
		}
		if got, err := os.Readlink(filepath.Join("/proc", e.Name(), "ns/pid")); err == nil &&
			got == want {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// ReadProcesses sums up processes that are running. One that has ended is an error.
func ReadProcesses(pids []int) (Process, error) {
	var sum Process
	once := 0 // the most that one shares: the others count it in vain
	for _, pid := range pids {
		cpu, err := readCPU(pid)
		if err != nil {
			return sum, err
		}
		peak, shared, err := readMemory(pid)
		if err != nil {
			return sum, err
		}
		sum.CPU += cpu
		sum.Peak += peak - shared
		once = max(once, shared)
	}
	sum.Peak += once
	return sum, nil
}

// readCPU reads the clock of all the process's threads, also of those that have
// ended: the sum of what /proc/PID/task/*/schedstat shows of those that run.
func readCPU(pid int) (time.Duration, error) {
	const scheduler = 2 // CPUCLOCK_SCHED of linux/posix-timers_types.h
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &ts); err != nil {
		return 0, fmt.Errorf("measure: CPU time of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

// readMemory reads the peak, and how much is shared memory now.
func readMemory(pid int) (peak, shared int, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	if peak, err = parseMemory(b, "VmHWM"); err != nil {
		return 0, 0, err
	}
	shared, err = parseMemory(b, "RssShmem")
	return peak, shared, err
}

// parseMemory reads a line of proc_pid_status(5), in bytes.
func parseMemory(status []byte, key string) (int, error) {
	for lines := bufio.NewScanner(bytes.NewReader(status)); lines.Scan(); {
		var kB int
		if n, _ := fmt.Sscanf(lines.Text(), key+": %d kB", &kB); n == 1 {
			return kB * 1024, nil
		}
	}
	return 0, fmt.Errorf("measure: no %s", key)
}
