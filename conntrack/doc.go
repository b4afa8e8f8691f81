// Package conntrack has the values that describe the kernel's connection tracking. All
// else in this module is built on them.
//
//	ctnetlink ┐
//	          ├ Source ─> func(*Event): Type, Orig and Reply Tuple, Counters, times, State
//	(others)  ┘
//
// A Source tells of connections: its Dump of all that live, its Wait of those that end.
// Event.Key tells entries apart. Timeouts computes from an Event when its last packet
// passed; a Timestamp is one moment on two clocks. Nothing here reads from the kernel but
// SystemClock: conntrack/ctnetlink is the Source by netlink, conntrack/kernel asks for
// settings and tables, conntrack/conntracktest is a kernel for tests.
package conntrack
