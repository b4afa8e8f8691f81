package measure

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

const (
	stallSleep    = 200 * time.Microsecond
	stallPriority = 50 // of 1 to 99
)

// Stalls measures how long a core keeps a thread waiting that goes before all others (SCHED_FIFO):
// only the kernel itself can, and what does delays packets, too.
type Stalls struct {
	stop    chan struct{}
	ended   chan struct{}
	longest time.Duration
}

// StartStalls starts such a thread on a core. It sleeps for 0.2 ms at a time.
func StartStalls(core int) (*Stalls, error) {
	s := &Stalls{stop: make(chan struct{}), ended: make(chan struct{})}
	failed := make(chan error)
	go s.run(core, failed)
	return s, <-failed
}

// run never unlocks its thread, which ends with it: no other goroutine may have its priority.
func (s *Stalls) run(core int, failed chan<- error) {
	runtime.LockOSThread()
	defer close(s.ended)
	var cores unix.CPUSet
	cores.Set(core)
	err := errors.Join(unix.SchedSetaffinity(0, &cores),
		unix.SchedSetAttr(0, &unix.SchedAttr{
			Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: stallPriority,
		}, 0))
	failed <- err
	for err == nil {
		select {
		case <-s.stop:
			return
		default:
			s.longest = max(s.longest, overslept())
		}
	}
}

// overslept sleeps, and returns for how much longer than asked for.
func overslept() time.Duration {
	began, sleep := monotonic(), unix.NsecToTimespec(int64(stallSleep))
	// a signal only makes it shorter
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &sleep, nil)
	return monotonic() - began - stallSleep
}

func monotonic() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // it is always there
	return time.Duration(now.Nano())
}

// Stop ends the thread and returns the longest stall.
func (s *Stalls) Stop() time.Duration {
	close(s.stop)
	<-s.ended
	return s.longest
}

// Pin ties all threads of processes, and those that they will start, to a core.
func Pin(pids []int, core int) error {
	var cores unix.CPUSet
	cores.Set(core)
	for _, pid := range pids {
		dir := filepath.Join("/proc", strconv.Itoa(pid), "task")
		threads, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, t := range threads {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				return err
			}
			if err := unix.SchedSetaffinity(tid, &cores); err != nil &&
				!errors.Is(err, unix.ESRCH) {
				return err
			}
		}
	}
	return nil
}
