package check

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack/kernel"
)

func release(f *Facts) Result {
	var major, minor int
	if n, _ := fmt.Sscanf(f.Release, "%d.%d", &major, &minor); n != 2 {
		return warn("", "%q is no version of Linux that conntally knows", f.Release)
	}
	version := major*100 + minor
	switch {
	case version < 504:
		return warn("", "Linux %s is older than all that conntally was made for: 5.4", f.Release)
	case version < 511:
		return warn("", "Linux %s doesn't tell the state of a connection that has ended, as 5.11 does: of a short one neither TCP flags nor end reason are known, and it may end up to a poll interval late", f.Release)
	case version < 514:
		return warn("", "Linux %s doesn't tell when a connection expired, as 5.14 does: its flow may end up to a poll interval late", f.Release)
	}
	return ok("Linux %s", f.Release)
}

func modules(f *Facts) Result {
	switch {
	case errors.Is(f.Answer, unix.EPERM):
		return ok("nf_conntrack is loaded")
	case f.Answer != nil:
		return fail("", "conntrack doesn't answer: %v", f.Answer)
	}
	return ok("nf_conntrack and nf_conntrack_netlink are loaded")
}

func rights(f *Facts) Result {
	switch {
	case f.Loaded != nil:
		return Result{}
	case errors.Is(f.Answer, unix.EPERM) && f.Root:
		return warn("", "no CAP_NET_ADMIN, though root: the container lacks it")
	case errors.Is(f.Answer, unix.EPERM):
		return warn(f.Wanted.Command, "no CAP_NET_ADMIN: some of conntrack can't be looked at")
	case f.Answer != nil:
		return Result{}
	}
	return ok("CAP_NET_ADMIN is there")
}

// setting judges a setting of which no condition holds.
func setting(name, good string) func(*Facts) Result {
	return func(f *Facts) Result {
		switch s := f.setting(name); {
		case s == nil:
			return Result{}
		case s.Err != nil:
			return fail("", "%s can't be read: %v", s.Name, s.Err)
		}
		return ok("%s", good)
	}
}

// setting returns one of the kernel's settings, nil where it wasn't looked at.
func (f *Facts) setting(name string) *kernel.Setting {
	for i := range f.Settings {
		if f.Settings[i].Name == "net.netfilter.nf_conntrack_"+name {
			return &f.Settings[i]
		}
	}
	return nil
}

// events judges what came of an end that was made to be reported.
func events(f *Facts) Result {
	r := setting("events", "an end of a connection was made, and reported")(f)
	switch {
	case r.Status != OK:
		return r
	case f.Ends == nil:
		return ok("the end of each connection is reported, says nf_conntrack_events")
	case f.Ends.Err != nil:
		return ok("the end of each connection is reported, says nf_conntrack_events; it can't be tried: %v", f.Ends.Err)
	}
	return r
}

func bridge(f *Facts) Result {
	if f.Loaded != nil {
		return Result{}
	}
	return ok("conntrack sees no frames that are only bridged")
}

func clock(*Facts) Result { return ok("the clock is synchronised") }

// fixedByRun reports whether `conntally run` ends a condition by itself, as configured.
func (f *Facts) fixedByRun(id condition.ID) bool { return id == condition.NotTracked && f.Wanted.Track }
