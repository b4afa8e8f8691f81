package check

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/conntally/conntally/conntrack/kernel"
)

// ours is conntally's name as a process.
const ours = "conntally"

// listeners checks which other programs receive conntrack events.
func listeners(s *State) Result {
	if s.Loaded != nil {
		return Result{}
	}
	var own []int
	var reliable, others []string
	for _, l := range s.Listeners {
		switch {
		case l.Program == ours:
			own = append(own, l.PID)
		case l.Reliable:
			reliable = addOnce(reliable, name(l))
		default:
			others = addOnce(others, name(l))
		}
	}
	slices.Sort(own)
	own = slices.Compact(own) // a process may have several sockets
	switch {
	case len(own) > 1:
		later := strings.Trim(fmt.Sprint(own[1:]), "[]")
		return warn("kill "+later,
			"conntally runs %d times: each process exports all flows", len(own))
	case len(reliable) > 0:
		return warn("",
			"%s uses reliable delivery: if it stalls, the router refuses connections",
			strings.Join(reliable, ", "))
	case len(own) == 1:
		return ok("conntally runs (pid %d)", own[0])
	case len(others) > 0:
		return ok("%s listens, too, which does no harm", strings.Join(others, ", "))
	}
	return ok("no other program listens to conntrack")
}

// addOnce adds a name to a list that lacks it: a process may have several sockets.
func addOnce(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

func name(l kernel.Subscriber) string {
	if l.PID == 0 {
		return "a program"
	}
	return fmt.Sprintf("%s (pid %d)", l.Program, l.PID)
}

// zeroing is the process name of a program that resets conntrack's counters.
const zeroing = "nlbwmon"

// processesNamed returns the processes with a name, each as "NAME (pid N)".
func processesNamed(wanted string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/comm") // fails only on a malformed pattern
	for _, file := range files {
		b, _ := os.ReadFile(file) // fails if the process has ended
		if strings.TrimSpace(string(b)) == wanted {
			pid := filepath.Base(filepath.Dir(file))
			found = append(found, fmt.Sprintf("%s (pid %s)", wanted, pid))
		}
	}
	return found
}
