// Package bpf reads the kernel's connections by eBPF programs: their ends, which costs the kernel a
// ninth and this program a nineteenth of what netlink's events cost (docs/performance.md), and the
// living ones, by a walk over the kernel's table that stops no packet.
//
//	__nf_conntrack_confirm -> first.bpf.h -> set of first packets
//	                                  v
//	nf_ct_destroy     -> ends.bpf.c -> ring buffer -> Source -> func(*conntrack.Event)
//	BPF_PROG_TEST_RUN -> walk.bpf.h -> records -------^
//
// An Event's First is what the packet showed that began the connection. It is not known of
// connections that are older than the program, that no packet began (ctnetlink), or that found no
// room; nor in an Event of netlink. By kprobe, the packet is seen just before it is confirmed: the
// same packet and entry, and what isn't confirmed in the end is forgotten.
//
// A Source begins with netlink's events. Attach loads the program, by the first Step that this
// kernel allows, proves that it reports an end, and only then ends the subscription to events.
// Where it can't be had, the Source stays with netlink, and the error says what is missing. Where only
// the walk can't be had, netlink dumps living connections, and WalkError says why.
//
// An eBPF program doesn't see CTA_ID. So that an entry has one Key, however it is read, a Source
// made for both computes IDs of its own: see SourceOptions.
package bpf

//go:generate ../../.ci/bpf write
