package check

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack/kernel"
)

func kernelVersion(f *Facts) Result {
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

// modprobe loads nf_conntrack, too.
const modprobe = "modprobe nf_conntrack_netlink"

func modules(f *Facts) Result {
	switch {
	case f.Loaded != nil:
		return fail(modprobe, "nf_conntrack is not loaded: nothing is tracked")
	case errors.Is(f.Answer, unix.EPERM):
		return ok("nf_conntrack is loaded")
	case errors.Is(f.Answer, kernel.ErrNotLoaded):
		return fail(modprobe, "nf_conntrack_netlink is not loaded: what is tracked can't be read")
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

func acct(f *Facts) Result {
	return setting(f, "net.netfilter.nf_conntrack_acct", func(s kernel.Setting) Result {
		if s.Was == 0 {
			return fail(s.Command(), "nf_conntrack_acct is 0: no packets or bytes are counted")
		}
		return ok("packets and bytes are counted")
	})
}

func timestamp(f *Facts) Result {
	return setting(f, "net.netfilter.nf_conntrack_timestamp", func(s kernel.Setting) Result {
		if s.Was == 0 {
			return warn(s.Command(), "nf_conntrack_timestamp is 0: flows begin when first seen")
		}
		return ok("the kernel notes when connections begin and end")
	})
}

func events(f *Facts) Result {
	return setting(f, "net.netfilter.nf_conntrack_events", func(s kernel.Setting) Result {
		switch s.Was {
		case 0:
			return fail(s.Command(), "nf_conntrack_events is 0: no end is reported, and what moved since the last poll is lost")
		case s.Want:
			return ok("the end of each connection is reported")
		}
		return warn(s.Command(), "nf_conntrack_events is %d: connections that begin while conntally doesn't run end unreported", s.Was)
	})
}

func setting(f *Facts, name string, judge func(kernel.Setting) Result) Result {
	for _, s := range f.Settings {
		if s.Name == name && s.Err != nil {
			return fail("", "%s can't be read: %v", s.Name, s.Err)
		}
		if s.Name == name {
			return judge(s)
		}
	}
	return Result{}
}
