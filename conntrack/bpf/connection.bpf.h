// SPDX-License-Identifier: GPL-2.0
// What all programs read of an entry of conntrack, and the record that they make of it, which record.go
// reads.
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

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_DCCP 33
#define IPPROTO_SCTP 132

// tuple is the kernel's struct nf_conntrack_tuple.
struct tuple {
	u8 src[16];
	__be16 src_port;
	u16 family;
	u8 dst[16];
	__be16 dst_port;
	u8 proto, dir;
};

// endpoints is a tuple as record.go has it, with its zone: IPv4 addresses are IPv4-mapped, ports in host
// byte order.
struct endpoints {
	u64 src[2], dst[2];
	u16 src_port, dst_port;
	u8 family, proto;
	u16 zone;
};

// packet is what the first packet of a connection showed.
struct packet {
	u8 known; // else all is zero
	u8 tos;
	u16 vlan;  // of a tag that the packet still had
	u8 mac[6]; // of the sender; zeroes without an Ethernet header
	u16 unused;
	u32 input, output; // ifIndexes; 0 is the router itself
};

// event is a conntrack.Event, as record.go has it in memory. It sets what is not set here.
struct event {
	u8 type, counted, has_timeout, once;
	u8 state;
	u8 tcp_flags[2]; // of each direction's sender
	u8 unused;
	u64 at[2]; // not set
	struct endpoints orig, reply;
	u32 id; // not set
	u32 status, mark, timeout;
	u64 counters[4]; // packets and bytes of the original direction, then of the reply's
	u64 stamps[2];   // start and stop
	u32 portid;
	struct packet first;
};

enum { EXPIRED = 1, SHOWN = 2 };

struct record {
	struct event event;
	u32 timeout, now; // in jiffies
	u32 flags, unused;
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

static __always_inline struct view in_place(u64 ct)
{
	return (struct view){words_at((void *)ct), words_at(&((struct nf_conn *)ct)->proto)};
}

// put_tuple writes an entry's tuple. An address of IPv4 is the first word of its place, and the others
// are zero.
static __always_inline void put_tuple(struct endpoints *to, struct nf_conntrack_tuple *from)
{
	u64 *words = (u64 *)from; // struct tuple
	u64 first = words[0], ports = words[2], last = words[4];
	u64 family = ports >> 16 & 0xffff;

	if (family == AF_INET) {
		to->src[0] = to->dst[0] = 0;
		to->src[1] = 0xffff0000 | first << 32;
		to->dst[1] = 0xffff0000 | ports >> 32 << 32;
	} else {
		u64 middle = words[3];

		to->src[0] = first;
		to->src[1] = words[1];
		to->dst[0] = ports >> 32 | middle << 32;
		to->dst[1] = middle >> 32 | last << 32;
	}
	to->src_port = __builtin_bswap16(ports);
	to->dst_port = __builtin_bswap16(last >> 32);
	to->family = family;
	to->proto = last >> 48;
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
static __always_inline int is_usual(struct event *e, void *ext)
{
	struct usual u;

	copy(&u, sizeof u, ext);
	if (EXTENSION(u.offsets[0], NF_CT_EXT_ACCT) != __builtin_offsetof(struct usual, counters) ||
	    EXTENSION(u.offsets[0], NF_CT_EXT_TSTAMP) != __builtin_offsetof(struct usual, stamps))
		return 0;
	__builtin_memcpy(e->counters, u.counters, sizeof e->counters);
	__builtin_memcpy(e->stamps, u.stamps, sizeof e->stamps);
	return 1;
}

// extensions reads counters and time stamps, which an entry has unless it began while they were off.
static __always_inline void extensions(struct event *e, void *ext, int how)
{
	e->counted = 1;
	if (how != DIRECT && ext && is_usual(e, ext))
		return;
	u64 offsets = offsets_in(ext, how);
	u8 counters = EXTENSION(offsets, NF_CT_EXT_ACCT), stamps = EXTENSION(offsets, NF_CT_EXT_TSTAMP);
	if (counters) {
		read(e->counters, sizeof e->counters, ext + counters, how);
	} else {
		e->counted = 0;
		__builtin_memset(e->counters, 0, sizeof e->counters);
	}
	if (stamps)
		read(e->stamps, sizeof e->stamps, ext + stamps, how);
	else
		__builtin_memset(e->stamps, 0, sizeof e->stamps);
}

// zones writes the zone, of one direction or of both.
static __always_inline void zones(struct event *e, struct nf_conn *entry)
{
	e->orig.zone = e->reply.zone = 0;
	if (!bpf_core_field_exists(entry->zone))
		return;
	u16 id = entry->zone.id;
	if (!id)
		return;
	if (entry->zone.dir & 1)
		e->orig.zone = id;
	if (entry->zone.dir & 2)
		e->reply.zone = id;
}

// fill makes the record of an entry. next is FREE if the entry ends, else its address: see recall.
// TCP's flags are left to the caller.
static __always_inline void fill(struct record *r, struct view v, u64 ct, u64 next, int how)
{
	struct nf_conn *entry = v.entry;
	struct event *e = &r->event;

	*(u64 *)e = 0;
	extensions(e, entry->ext, how);
	put_tuple(&e->orig, &entry->tuplehash[0].tuple);
	put_tuple(&e->reply, &entry->tuplehash[1].tuple);
	zones(e, entry);
	e->state = state(e->orig.proto, v.proto);
	e->status = entry->status;
	e->mark = bpf_core_field_exists(entry->mark) ? entry->mark : 0;
	e->timeout = e->portid = 0;
	recall(&e->first, ct, next);
	r->timeout = entry->timeout;
	r->now = bpf_jiffies64();
	r->flags = r->unused = 0;
}
