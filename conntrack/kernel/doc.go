// Package kernel reads and changes the kernel's settings of connection tracking, in the
// calling thread's network namespace.
//
//	/proc/sys/net/netfilter/*  -> ReadSysctl, Settings, Enable, ReadTimeouts
//	/proc/net/netlink, sockets -> Subscribers: who else receives events
//	nfnetlink                  -> Available; Tracking, Track; Flowtables; ReadStatistics
//	any dump                   -> CountEntries: how many entries are counted, or offloaded
//
// Connections themselves are read by conntrack/ctnetlink.
package kernel
