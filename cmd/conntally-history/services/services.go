// Package services reads what units of systemd move: the counters of IPAccounting=.
//
//	Bus     (D-Bus: living units)    ┐
//	Journal (final counters of ends) ┴-> Poller -> usage.Batch
//
// A unit's counters begin at zero each time it starts, and are gone when it has stopped; then the
// journal has them. Both name the invocation, so each byte is counted once: also when a unit starts
// and stops between two readings, and when conntally-history itself stops in between.
//
// Counted are services, sockets, mounts, swaps and scopes. Slices are not: their counters are the
// sums of what is in them.
package services

import (
	"strings"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Reading is what one invocation of a unit has moved since it began. Up is what the unit sent,
// IPEgressBytes, and down what it received.
type Reading struct {
	Unit       string // such as "nginx.service"
	Invocation string // InvocationID, 32 hexadecimal digits
	Moved      usage.Counters
}

// interfaces are the D-Bus interfaces of units that have processes of their own, by the end of
// their names.
func interfaceOf(unit string) (name string, counted bool) {
	switch unit[strings.LastIndexByte(unit, '.')+1:] {
	case "service":
		return "Service", true
	case "socket":
		return "Socket", true
	case "mount":
		return "Mount", true
	case "swap":
		return "Swap", true
	case "scope":
		return "Scope", true
	}
	return "", false
}

// displayName returns the name that a unit's bytes are stored by: its own, but for units whose
// names are new each time, such as run-u12.service and the instances that systemd starts for each
// connection of a socket with Accept=yes. Each of those would be a row that nobody finds.
func displayName(unit string) string {
	dot := strings.LastIndexByte(unit, '.')
	if dot < 0 {
		return unit
	}
	name, kind := unit[:dot], unit[dot:]
	if at := strings.IndexByte(name, '@'); at >= 0 && isConnection(name[at+1:]) {
		return name[:at+1] + "*" + kind
	}
	for _, prefix := range []string{"run-", "session-", "session-c"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && isSerial(rest) {
			return prefix[:strings.IndexByte(prefix, '-')+1] + "*" + kind
		}
	}
	return unit
}

// isConnection reports whether an instance is called as systemd calls one of a connection:
// "12-192.0.2.1:22-192.0.2.9:50000", or "12-PID-UID" of a UNIX socket.
func isConnection(instance string) bool {
	number, ends, ok := strings.Cut(instance, "-")
	if !ok || !isNumber(number) {
		return false
	}
	local, remote, ok := strings.Cut(ends, "-")
	if !ok {
		return false
	}
	return isNumber(local) && isNumber(remote) ||
		strings.Contains(local, ":") && strings.Contains(remote, ":")
}

// isSerial reports whether a transient unit has only a number: "u12", "p12-i34" and "r" with
// hexadecimal digits of systemd-run, or the number of a session.
func isSerial(s string) bool {
	if isNumber(s) {
		return true
	}
	switch s[:min(1, len(s))] {
	case "u":
		return isNumber(s[1:])
	case "r":
		return len(s) == 33 && strings.Trim(s[1:], "0123456789abcdef") == ""
	case "p":
		process, id, ok := strings.Cut(s[1:], "-i")
		return ok && isNumber(process) && isNumber(id)
	}
	return false
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
