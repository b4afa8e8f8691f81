//go:build ignore

// SPDX-License-Identifier: GPL-2.0
// Reports the end of each entry of conntrack in a ring buffer. `go generate` compiles it; it is
// loaded by load.go.
//
// An entry's memory is read while its last reference is dropped: its counters are final, and
// the kernel calls nf_ct_destroy once for each.

#include "connection.bpf.h"
#include "walk.bpf.h"

u64 lost = 0; // ends that found the ring full

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

static __always_inline int ended(u64 ct, struct view v, int how)
{
	unsigned long status = v.entry->status;
	struct record *r;

	// Packets dropped on their way have entries that never were in the table. A kprobe sees them
	// before that is known.
	if (!(status & IPS_CONFIRMED) || status & IPS_TEMPLATE)
		goto unreported;
	if (is_foreign(v.entry->ct_net.net, how))
		return 0;
	if (was_shown(ct, v.entry->timeout, how))
		goto unreported;
	r = bpf_ringbuf_reserve(&ring, sizeof *r, 0);
	if (!r) {
		__sync_fetch_and_add(&lost, 1);
		goto unreported;
	}
	fill(r, v, ct, FREE, how);
	bpf_ringbuf_submit(r, 0); // wakes the reader if it has read all before
	return 0;
unreported:
	forget(ct);
	return 0;
}

static __always_inline int ended_copied(u64 ct)
{
	struct image i;

	copy_entry(&i, (void *)ct);
	return ended(ct, view_of(&i), COPIED);
}

// entry_of returns the argument of nf_ct_destroy, as a number: the verifier knows its type, and not
// that it is a nf_conn.
static __always_inline u64 entry_of(u64 *ctx)
{
	u64 ct = 0;

	bpf_get_func_arg(ctx, 0, &ct);
	return ct;
}

// is_accepted reports whether __nf_conntrack_confirm has returned NF_ACCEPT.
static __always_inline int is_accepted(u64 *ctx) { return (int)ctx[1] == 1; }

// The same programs for each way to be called and to read; kprobe.multi has those of kprobe.

SEC("fentry/nf_ct_destroy")
int end_direct(u64 *ctx)
{
	u64 ct = entry_of(ctx);

	return ended(ct, in_place(ct), DIRECT);
}

SEC("fexit/__nf_conntrack_confirm")
int first_direct(u64 *ctx)
{
	return is_accepted(ctx) ? confirmed((struct sk_buff *)ctx[0], DIRECT) : 0;
}

SEC("fentry/nf_ct_destroy")
int end_fentry(u64 *ctx)
{
	return ended_copied(entry_of(ctx));
}

SEC("fexit/__nf_conntrack_confirm")
int first_fentry(u64 *ctx)
{
	return is_accepted(ctx) ? confirmed((struct sk_buff *)ctx[0], TYPED) : 0;
}

// first_argument returns the first argument of the function at which a kprobe is.
static __always_inline void *first_argument(void *ctx)
{
	struct pt_regs___x86 *x86 = ctx;
	struct pt_regs___arm64 *arm64 = ctx;
	struct pt_regs___riscv *riscv = ctx;
	u64 first = 0;

	if (bpf_core_field_exists(x86->di))
		copy(&first, sizeof first, &x86->di);
	else if (bpf_core_field_exists(arm64->regs))
		copy(&first, sizeof first, &arm64->regs[0]);
	else if (bpf_core_field_exists(riscv->a0))
		copy(&first, sizeof first, &riscv->a0);
	return (void *)first;
}

SEC("kprobe/nf_ct_destroy")
int end_kprobe(void *ctx)
{
	return ended_copied((u64)first_argument(ctx));
}

SEC("kprobe/__nf_conntrack_confirm")
int first_kprobe(void *ctx)
{
	return confirmed(first_argument(ctx), COPIED);
}

char LICENSE[] SEC("license") = "GPL";
