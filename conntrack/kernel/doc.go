// Package kernel asks the kernel for all else that matters to connection tracking, in
// the calling thread's network namespace.
//
//	/proc/sys/net/netfilter/*  -> ReadSysctl, Settings, Enable, ReadTimeouts
//	/proc/net/netlink, sockets -> Subscribers: who else receives events
//	nfnetlink                  -> Available; Tracking, Track; Flowtables; ReadStatistics
//	any dump                   -> CountEntries: how many entries are counted, or offloaded
//
// Connections themselves are read by conntrack/ctnetlink.
package kernel
