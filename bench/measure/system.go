// Package measure reads what programs and the whole machine take: CPU time, memory.
package measure

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// System is what the whole machine has done since it started, over all its cores.
type System struct {
	At     time.Time
	Idle   time.Duration // waiting for disks included
	Stolen time.Duration // by other virtual machines
	Cores  int
}

// userHZ is the unit of /proc/stat (USER_HZ, the same on all architectures of Go).
const userHZ = 100

// ReadSystem reads /proc/stat. Of a single core, /proc/timer_list has the same idle time to the
// nanosecond; of others it lacks that of a core which is idle now.
func ReadSystem() (System, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return System{}, err
	}
	s, err := parseSystem(b)
	if s.Cores == 1 {
		timers, _ := os.ReadFile("/proc/timer_list") // root alone may
		if idle, ok := parseIdle(timers); ok {
			s.Idle = idle
		}
	}
	s.At = time.Now()
	return s, err
}

// parseIdle sums up the idle times of all cores in /proc/timer_list (struct tick_sched). Kernels
// that tick while they are idle have none.
func parseIdle(timers []byte) (idle time.Duration, ok bool) {
	for lines := bufio.NewScanner(bytes.NewReader(timers)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(name) {
		case ".idle_sleeptime", ".iowait_sleeptime":
			var ns int64
			if _, err := fmt.Sscanf(value, "%d nsecs", &ns); err != nil {
				return 0, false
			}
			idle += time.Duration(ns)
		}
	}
	return idle, idle > 0
}

// parseSystem takes the idle time, which the kernel counts exactly; user, system and
// interrupt times are samples of the timer's tick.
func parseSystem(stat []byte) (System, error) {
	s := System{}
	for lines := bufio.NewScanner(bytes.NewReader(stat)); lines.Scan(); {
		var core int
		var user, nice, system, idle, wait, irq, softirq, steal int64
		n, _ := fmt.Sscanf(lines.Text(), "cpu%d %d %d %d %d %d %d %d %d", &core, &user, &nice,
			&system, &idle, &wait, &irq, &softirq, &steal)
		if n < 6 || strings.HasPrefix(lines.Text(), "cpu ") { // the sum
			continue
		}
		s.Cores++
		s.Idle += ticks(idle + wait)
		s.Stolen += ticks(steal)
	}
	if s.Cores == 0 {
		return s, errors.New("measure: no processors in /proc/stat")
	}
	return s, nil
}

func ticks(n int64) time.Duration { return time.Duration(n) * time.Second / userHZ }

// Busy returns how long cores have worked since before, summed up. What other virtual
// machines took is in there as far as a core was not idle meanwhile: mostly it is taken
// when a core wakes up, and counted as idle as well.
func (s System) Busy(before System) time.Duration {
	all := s.At.Sub(before.At) * time.Duration(s.Cores)
	return all - (s.Idle - before.Idle)
}
