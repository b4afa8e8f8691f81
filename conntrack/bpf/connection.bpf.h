// SPDX-License-Identifier: GPL-2.0
// What all programs read of an entry of conntrack, and the record that they make of it. record and
// tuple are decoded by record.go.
//
// An entry's memory is read in few large pieces, since each call costs more than the bytes that it
// copies.

typedef unsigned char u8, __u8;
typedef unsigned short u16, __u16, __be16;
typedef unsigned int u32, __u32, __be32, __wsum;
typedef unsigned long long u64, __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;

enum { BPF_MAP_TYPE_HASH = 1, BPF_MAP_TYPE_ARRAY = 2, BPF_MAP_TYPE_RINGBUF = 27 };
enum { BPF_F_MMAPABLE = 1 << 10 };
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

// What is needed of the kernel's types. The loader finds where each field is in the running
// kernel (CO-RE); a name's part from "___" on is not the kernel's.
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct ns_common {
	u32 inum;
};
struct net {
	struct ns_common ns;
};
typedef struct {
	struct net *net;
} possible_net_t;

struct nf_conntrack_zone {
	u16 id;
	u8 flags;
	u8 dir;
};
struct nf_conntrack_man {
	u8 u3[16];
};
struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
};
struct hlist_nulls_node {
	struct hlist_nulls_node *next, **pprev;
};
struct nf_conntrack_tuple_hash {
	struct hlist_nulls_node hnnode;
	struct nf_conntrack_tuple tuple;
};
enum sctp_conntrack { SCTP_CONNTRACK_NONE };
struct ip_ct_sctp {
	enum sctp_conntrack state;
};
struct ip_ct_tcp_state {
	u8 flags;
};
struct ip_ct_tcp {
	struct ip_ct_tcp_state seen[2];
	u8 state;
};
struct ip_ct_dccp {
	u8 state;
};
union nf_conntrack_proto {
	struct ip_ct_dccp dccp;
	struct ip_ct_sctp sctp;
	struct ip_ct_tcp tcp;
};

enum nf_ct_ext_id { NF_CT_EXT_ACCT = 3, NF_CT_EXT_TSTAMP = 5 };
struct nf_ct_ext {
	u8 offset[8];
};

typedef struct refcount_struct {
	int refs;
} refcount_t;
struct nf_conntrack {
	refcount_t use;
};
struct nf_conn {
	struct nf_conntrack ct_general;
	u32 timeout;
	struct nf_conntrack_zone zone;
	struct nf_conntrack_tuple_hash tuplehash[2];
	unsigned long status;
	possible_net_t ct_net;
	u32 mark;
	struct nf_ct_ext *ext;
	union nf_conntrack_proto proto;
};

struct pt_regs___x86 {
	unsigned long di;
};
struct pt_regs___arm64 {
	u64 regs[31];
};
struct pt_regs___riscv {
	unsigned long a0;
};

#pragma clang attribute pop

// enum ip_conntrack_status
#define IPS_CONFIRMED (1 << 3)
#define IPS_DYING (1 << 9)
#define IPS_TEMPLATE (1 << 11)

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_DCCP 33
#define IPPROTO_SCTP 132

// tuple is the kernel's struct nf_conntrack_tuple, which is copied as a whole.
struct tuple {
	u8 src[16];
	__be16 src_port;
	u16 family;
	u8 dst[16];
	__be16 dst_port;
	u8 proto, dir;
};

// packet is what the first packet of a connection showed.
struct packet {
	u32 input, output; // ifIndexes; 0 is the router itself
	u8 mac[6];         // of the sender; zeroes without an Ethernet header
	u16 vlan;          // of a tag that the packet still had
	u8 tos, unused[3];
};

enum { COUNTED = 1, ORIGINAL_ZONE = 2, REPLY_ZONE = 4, EXPIRED = 8, SHOWN = 16, FIRST = 32 };

struct record {
	struct tuple tuples[2];
	u64 counters[4]; // packets and bytes of the original direction, then of the reply's
	u64 stamps[2];   // start and stop
	u32 status;
	u32 timeout, now; // in jiffies
	u32 mark;
	struct packet first; // if FIRST is set
	u16 zone;
	u8 state, flags;
	u8 tcp_flags[2]; // of each direction's sender
};

const volatile u32 own_netns = 0; // inode of the network namespace to report

// copy copies n bytes from the kernel's memory, or zeroes if they can't be read.
static __always_inline void copy(void *to, u32 n, const void *from)
{
	bpf_probe_read_kernel(to, n, from);
}

// EXTENSION returns where an extension is, by the array of all of them; 0: the entry has none.
#define EXTENSION(offsets, id) \
	(bpf_core_enum_value_exists(enum nf_ct_ext_id, id) ? \
		(u8)(offsets >> 8 * (bpf_core_enum_value(enum nf_ct_ext_id, id) & 7)) : 0)

// extensions are where an entry has its counters and time stamps; 0: it began while they were off.
struct extensions {
	void *counters, *stamps;
};

static __always_inline struct extensions extensions(struct nf_ct_ext *ext)
{
	struct extensions e = {};
	u64 offsets = 0;

	if (!ext)
		return e;
	copy(&offsets, sizeof offsets, &ext->offset);
	u8 counters = EXTENSION(offsets, NF_CT_EXT_ACCT), stamps = EXTENSION(offsets, NF_CT_EXT_TSTAMP);
	if (counters)
		e.counters = (void *)ext + counters;
	if (stamps)
		e.stamps = (void *)ext + stamps;
	return e;
}

// image is a copy of an entry without its extensions.
struct image {
	u64 words[40]; // the kernel's struct nf_conn has 31 to 33
};

static __always_inline void copy_entry(struct image *i, struct nf_conn *ct)
{
	copy(i, bpf_core_type_size(struct nf_conn), ct);
}

// IN is a field of struct nf_conn, of a type, in an image.
#define IN(image, type, field) \
	(*(type *)((void *)(image) + bpf_core_field_offset(struct nf_conn, field)))

static __always_inline void copy_tuple(struct tuple *to, struct image *i, u32 from)
{
	for (u32 word = 0; word < sizeof *to / 8; word++)
		((u64 *)to)[word] = ((u64 *)((void *)i + from))[word];
}

// state reads the state of the protocols that have one.
static __always_inline void state(struct record *r, struct image *i)
{
	switch (r->tuples[0].proto) {
	case IPPROTO_TCP:
		r->state = IN(i, u8, proto.tcp.state);
		r->tcp_flags[0] = IN(i, u8, proto.tcp.seen[0].flags);
		r->tcp_flags[1] = IN(i, u8, proto.tcp.seen[1].flags);
		break;
	case IPPROTO_SCTP:
		r->state = IN(i, u32, proto.sctp.state);
		break;
	case IPPROTO_DCCP: // Linux 6.16 and later don't track it
		if (bpf_core_field_exists(((struct nf_conn *)0)->proto.dccp.state))
			r->state = IN(i, u8, proto.dccp.state);
		break;
	}
}

static __always_inline int is_foreign(struct net *net)
{
	u32 inum = 0;

	copy(&inum, sizeof inum, &net->ns.inum);
	return inum != own_netns;
}

#include "first.bpf.h"

// fill makes the record of an entry. next is FREE if the entry ends, else its address: see recall.
static __always_inline void fill(struct record *r, struct image *i, u64 ct, u64 next)
{
	__builtin_memset(r->counters, 0, sizeof *r - __builtin_offsetof(struct record, counters));
	copy_tuple(&r->tuples[0], i, bpf_core_field_offset(struct nf_conn, tuplehash[0].tuple));
	copy_tuple(&r->tuples[1], i, bpf_core_field_offset(struct nf_conn, tuplehash[1].tuple));
	r->status = IN(i, unsigned long, status);
	r->now = bpf_jiffies64();
	r->timeout = IN(i, u32, timeout);
	if (bpf_core_field_exists(((struct nf_conn *)0)->mark))
		r->mark = IN(i, u32, mark);
	if (bpf_core_field_exists(((struct nf_conn *)0)->zone)) {
		r->zone = IN(i, u16, zone.id);
		r->flags |= (IN(i, u8, zone.dir) & 3) << 1; // a bit for each direction
	}
	state(r, i);
	struct extensions e = extensions(IN(i, struct nf_ct_ext *, ext));
	if (e.counters) {
		copy(r->counters, sizeof r->counters, e.counters);
		r->flags |= COUNTED;
	}
	if (e.stamps)
		copy(r->stamps, sizeof r->stamps, e.stamps);
	recall(r, ct, next);
}
