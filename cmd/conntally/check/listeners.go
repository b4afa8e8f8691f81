package check

import (
	"fmt"
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
