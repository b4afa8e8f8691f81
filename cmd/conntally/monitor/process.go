package monitor

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// processRows are of this process, under the names that all exporters have. What the
// system doesn't tell is left out.
func (s *Sources) processRows() []row {
	rows := []row{{"process_start_time_seconds", "When the program began, since 1970.", s.began()}}
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		rows = append(rows, row{"process_cpu_seconds_total", "CPU used, user and system.", cpu.Seconds()})
	}
	rows = append(rows, memoryRows()...)
	return append(rows, fileRows()...)
}

func memoryRows() []row {
	var virtual, resident float64 // pages
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil
	}
	if n, _ := fmt.Sscan(string(text), &virtual, &resident); n != 2 {
		return nil
	}
	page := float64(os.Getpagesize())
	return []row{
		{"process_virtual_memory_bytes", "Address space, most of it never touched.", virtual * page},
		{"process_resident_memory_bytes", "Resident memory, the program's own code included.", resident * page},
	}
}

func fileRows() (rows []row) {
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		rows = append(rows, row{"process_open_fds", "Open files and sockets.", float64(len(open) - 1)}) // one is the reading itself
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		rows = append(rows, row{"process_max_fds", "Files and sockets that may be open.", float64(limit.Cur)})
	}
	return rows
}
