// Package bpf reads the kernel's connections by eBPF programs: their ends, which costs the kernel and
// this program a tenth of what netlink's events cost, and the living ones, by a walk over the kernel's
// table that stops no packet.
//
//	nf_ct_destroy     -> ends.bpf.c -> ring buffer -> Source -> func(*conntrack.Event)
//	BPF_PROG_TEST_RUN -> walk.bpf.h -> records -------^
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
