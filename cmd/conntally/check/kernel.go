package check

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack/kernel"
)

func release(s *State) Result {
	var major, minor int
	if n, _ := fmt.Sscanf(s.Release, "%d.%d", &major, &minor); n != 2 {
		return warn("",
			"%q is not a Linux version that conntally knows", s.Release)
	}
	version := major*100 + minor
	switch {
	case version < 504:
		return warn("",
			"Linux %s is older than 5.4, the oldest version that conntally supports", s.Release)
	case version < 511:
		return warn("",
			"Linux %s doesn't report the state of a connection at its end, as 5.11 does: "+
				"a short connection has no TCP flags and no end reason, and may end up to a poll "+
				"interval late", s.Release)
	case version < 514:
		return warn("",
			"Linux %s doesn't report when a connection expired, as 5.14 does: "+
				"its flow may end up to a poll interval late", s.Release)
	}
	return ok("Linux %s", s.Release)
}

func modules(s *State) Result {
	switch {
	case errors.Is(s.Answer, unix.EPERM):
		return ok("nf_conntrack is loaded")
	case s.Answer != nil:
		return fail("", "conntrack doesn't answer: %v", s.Answer)
	}
	return ok("nf_conntrack and nf_conntrack_netlink are loaded")
}

func rights(s *State) Result {
	switch {
	case s.Loaded != nil:
		return Result{}
	case errors.Is(s.Answer, unix.EPERM) && s.Root:
		return unchecked("", "root without CAP_NET_ADMIN, which the container lacks")
	case errors.Is(s.Answer, unix.EPERM):
		return unchecked(s.Requirements.Command, "no CAP_NET_ADMIN")
	case s.Answer != nil:
		return Result{}
	}
	return ok("CAP_NET_ADMIN is granted")
}

// unchecked is the result of rights where why is that other checks can't be made.
func unchecked(fix, why string) Result {
	names := []string{"tracking", "counters", "offload", "buffer"}
	r := warn(fix, "%s: %s and the test of events can't be checked", why,
		strings.Join(names, ", "))
	r.Unchecked = names
	return r
}

// setting returns the check of a setting, used when none of its conditions holds.
func setting(name, good string) func(*State) Result {
	return func(s *State) Result {
		switch v := s.setting(name); {
		case v == nil:
			return Result{}
		case v.Err != nil:
			return fail("", "%s can't be read: %v", v.Name, v.Err)
		}
		return ok("%s", good)
	}
}

// setting returns one of the kernel's settings, or nil if it wasn't read.
func (s *State) setting(name string) *kernel.Setting {
	for i := range s.Settings {
		if s.Settings[i].Name == "net.netfilter.nf_conntrack_"+name {
			return &s.Settings[i]
		}
	}
	return nil
}

// events checks the result of the connection that was made and ended as a test.
func events(s *State) Result {
	if s.Loaded == nil && s.setting("events") == nil { // eBPF reports ends, so it was not read
		return ok("eBPF reports ends of connections: nf_conntrack_events doesn't matter")
	}
	r := setting("events", "a test connection was ended, and its end was reported")(s)
	switch {
	case r.Status != OK:
		return r
	case s.EndEvent == nil:
		return ok("nf_conntrack_events is on: ends of connections are reported")
	case s.EndEvent.Err != nil:
		return ok("nf_conntrack_events is on: ends of connections are reported; "+
			"this can't be tested: %v", s.EndEvent.Err)
	}
	return r
}

// source says how ends are read, where eBPF is asked for.
func source(s *State) Result {
	if s.BPF == nil {
		return Result{}
	}
	return ok("connections can be read by eBPF (%s): a test connection was, and its end",
		s.BPF.Step)
}

func bridge(s *State) Result {
	if s.Loaded != nil {
		return Result{}
	}
	return ok("conntrack doesn't see frames that are only bridged")
}

func clock(*State) Result { return ok("the clock is synchronised") }

// fixedByRun reports whether `conntally run`, as configured, ends a condition itself.
func (s *State) fixedByRun(id condition.ID) bool {
	return id == condition.NotTracked && s.Requirements.Track
}

// turnedOnByRun reports whether a condition is a setting that `conntally run` turns on. The
// condition is worth a warning nevertheless: connections that are open by then lack what the
// setting adds to them.
func (s *State) turnedOnByRun(id condition.ID) bool {
	name := map[condition.ID]string{
		condition.AcctOff: "acct", condition.TimestampOff: "timestamp",
		condition.EventsOff: "events", condition.EventsAuto: "events",
	}[id]
	v := s.setting(name)
	return v != nil && !v.ReadOnly
}
