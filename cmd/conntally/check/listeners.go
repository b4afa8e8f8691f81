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

// listeners looks at who else is told of conntrack's events.
func listeners(f *Facts) Result {
	if f.Loaded != nil {
		return Result{}
	}
	var own []int
	var reliable, others []string
	for _, l := range f.Listeners {
		switch {
		case l.Program == ours:
			own = append(own, l.PID)
		case l.Reliable:
			reliable = append(reliable, name(l))
		default:
			others = append(others, name(l))
		}
	}
	slices.Sort(own)
	own = slices.Compact(own) // a process may have several sockets
	switch {
	case len(own) > 1:
		later := strings.Trim(fmt.Sprint(own[1:]), "[]")
		return warn("kill "+later, "conntally runs %d times: each exports all flows", len(own))
	case len(reliable) > 0:
		return warn("", "%s asked for reliable delivery: if it stalls, the router refuses connections", strings.Join(reliable, ", "))
	case len(own) == 1:
		return ok("conntally runs (pid %d)", own[0])
	case len(others) > 0:
		return ok("%s listens too, which does no harm", strings.Join(others, ", "))
	}
	return ok("nobody else listens to conntrack")
}

func name(l kernel.Subscriber) string {
	if l.PID == 0 {
		return "a program"
	}
	return fmt.Sprintf("%s (pid %d)", l.Program, l.PID)
}

// zeroing are the programs, as processes, that are known to set conntrack's counters to zero.
const zeroing = "nlbwmon"

// programs returns the processes of a name.
func programs(wanted string) (found []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/comm") // the pattern is a good one
	for _, file := range files {
		if b, _ := os.ReadFile(file); strings.TrimSpace(string(b)) == wanted { // it may have ended
			found = append(found, fmt.Sprintf("%s (pid %s)", wanted, filepath.Base(filepath.Dir(file))))
		}
	}
	return found
}
