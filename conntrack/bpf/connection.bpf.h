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

// How a program reads the kernel's memory. Each program is compiled for one of these ways.
enum {
	COPIED, // by a function of the kernel's, which costs 80 instructions and 7 for each word
	TYPED,  // the same, but loads from a packet, whose type the verifier knows
	DIRECT, // loads, which need 8 instructions each: Linux 6.2 and later
};

// copy copies n bytes from the kernel's memory, or zeroes if they can't be read.
static __always_inline void copy(void *to, u32 n, const void *from)
{
	bpf_probe_read_kernel(to, n, from);
}

// The verifier allows loads from an address that is said to be of one of the kernel's types. A
// device's statistics are 25 words of 64 bits and nothing else, in each kernel: so words_at makes
// 200 bytes readable whatever they are. A load that faults is zero.
struct rtnl_link_stats64 {
	u64 rx_packets;
};
extern void *bpf_rdonly_cast(const void *address, u32 type) __ksym;

static __always_inline void *words_at(const void *address)
{
	return bpf_rdonly_cast(address, bpf_core_type_id_kernel(struct rtnl_link_stats64));
}

// read reads n bytes, whole words, from the kernel's memory.
static __always_inline void read(void *to, u32 n, const void *from, int how)
{
	if (how != DIRECT) {
		copy(to, n, from);
		return;
	}
	const u64 *words = words_at(from);
#pragma unroll
	for (u32 k = 0; k < n / 8; k++)
		((u64 *)to)[k] = words[k];
}

// READ is a field in the kernel's memory.
#define READ(how, field) \
	((how) == DIRECT ? *(typeof(field) *)words_at(&(field)) : \
		({ typeof(field) v_ = 0; copy(&v_, sizeof v_, &(field)); v_; }))

// offsets_in returns the array of where each extension of an entry is: see EXTENSION.
static __always_inline u64 offsets_in(struct nf_ct_ext *ext, int how)
{
	u64 offsets = 0;

	if (ext)
		read(&offsets, sizeof offsets, &ext->offset, how);
	return offsets;
}

// EXTENSION is where an extension is, from the beginning of all of them; 0: the entry has none, since
// it began while they were off.
#define EXTENSION(offsets, id) \
	(bpf_core_enum_value_exists(enum nf_ct_ext_id, id) ? \
		(u8)((offsets) >> 8 * (bpf_core_enum_value(enum nf_ct_ext_id, id) & 7)) : 0)

// image is a copy of an entry without its extensions.
struct image {
	u64 words[40]; // the kernel's struct nf_conn has 31 to 33
};

static __always_inline void copy_entry(struct image *i, struct nf_conn *ct)
{
	copy(i, bpf_core_type_size(struct nf_conn), ct);
}

// view is an entry as a program may load from it: its image, or itself.
struct view {
	struct nf_conn *entry;
	union nf_conntrack_proto *proto; // apart, since an entry is larger than words_at allows
};

static __always_inline struct view view_of(struct image *i)
{
	struct nf_conn *entry = (void *)i;

	return (struct view){entry, &entry->proto};
}

static __always_inline void copy_tuple(struct tuple *to, struct nf_conntrack_tuple *from)
{
#pragma unroll
	for (u32 word = 0; word < sizeof *to / 8; word++)
		((u64 *)to)[word] = ((u64 *)from)[word];
}

// state returns the state of the protocols that have one.
static __always_inline u8 state(u8 protocol, union nf_conntrack_proto *p)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return p->tcp.state;
	case IPPROTO_SCTP:
		return p->sctp.state;
	case IPPROTO_DCCP: // Linux 6.16 and later don't track it
		if (bpf_core_field_exists(p->dccp.state))
			return p->dccp.state;
	}
	return 0;
}

u64 own_net SEC(".data") = 0; // where that network namespace is; 0: not known yet

// is_foreign reports whether a network namespace isn't the one to report, which stays where it is as
// long as this program is loaded.
static __always_inline int is_foreign(struct net *net, int how)
{
	if ((u64)net == own_net)
		return 0;
	if (READ(how, net->ns.inum) != own_netns)
		return 1;
	own_net = (u64)net;
	return 0;
}

#include "first.bpf.h"

// usual is how extensions mostly are: the kernel makes room for counters first, then for time stamps.
struct usual {
	u64 offsets[2]; // the array, and what else comes before
	u64 counters[4], stamps[2];
};

// is_usual reports whether counters and time stamps are where they mostly are. It copies them then,
// all at once.
static __always_inline int is_usual(struct record *r, void *ext)
{
	struct usual u;

	copy(&u, sizeof u, ext);
	if (EXTENSION(u.offsets[0], NF_CT_EXT_ACCT) != __builtin_offsetof(struct usual, counters) ||
	    EXTENSION(u.offsets[0], NF_CT_EXT_TSTAMP) != __builtin_offsetof(struct usual, stamps))
		return 0;
	__builtin_memcpy(r->counters, u.counters, sizeof r->counters);
	__builtin_memcpy(r->stamps, u.stamps, sizeof r->stamps);
	return 1;
}

// extensions reads counters and time stamps, which an entry has unless it began while they were off.
// It returns COUNTED if there are counters.
static __always_inline u8 extensions(struct record *r, void *ext, int how)
{
	if (how != DIRECT && ext && is_usual(r, ext))
		return COUNTED;
	u64 offsets = offsets_in(ext, how);
	u8 counters = EXTENSION(offsets, NF_CT_EXT_ACCT), stamps = EXTENSION(offsets, NF_CT_EXT_TSTAMP);
	if (counters)
		read(r->counters, sizeof r->counters, ext + counters, how);
	else
		__builtin_memset(r->counters, 0, sizeof r->counters);
	if (stamps)
		read(r->stamps, sizeof r->stamps, ext + stamps, how);
	else
		__builtin_memset(r->stamps, 0, sizeof r->stamps);
	return counters ? COUNTED : 0;
}

// fill makes the record of an entry. next is FREE if the entry ends, else its address: see recall.
// TCP's flags are left to the caller.
static __always_inline void fill(struct record *r, struct view v, u64 ct, u64 next, int how)
{
	struct nf_conn *entry = v.entry;
	u8 flags = extensions(r, entry->ext, how);

	copy_tuple(&r->tuples[0], &entry->tuplehash[0].tuple);
	copy_tuple(&r->tuples[1], &entry->tuplehash[1].tuple);
	r->status = entry->status;
	r->timeout = entry->timeout;
	r->now = bpf_jiffies64();
	r->mark = bpf_core_field_exists(entry->mark) ? entry->mark : 0;
	r->zone = 0;
	if (bpf_core_field_exists(entry->zone)) {
		r->zone = entry->zone.id;
		flags |= (entry->zone.dir & 3) << 1; // a bit for each direction
	}
	r->state = state(r->tuples[0].proto, v.proto);
	r->tcp_flags[0] = r->tcp_flags[1] = 0;
	r->flags = flags | recall(r, ct, next);
}
