// Package conntrack defines the values that describe the kernel's connection tracking. The
// other packages of this module build on them.
//
//	ctnetlink ┐
//	          ├ Source ─> func(*Event): Type, Orig and Reply Tuple, Counters, times, State
//	(others)  ┘
//
// A Source reports connections: Dump all living ones, Wait those that end. Event.Key
// identifies an entry. Timeouts computes the time of an entry's last packet; a Timestamp is
// one moment on two clocks. Only SystemClock reads from the kernel here: conntrack/ctnetlink
// implements Source by netlink, conntrack/kernel reads settings and tables, and
// conntrack/conntracktest is a kernel for tests.
package conntrack
