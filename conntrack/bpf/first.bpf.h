// SPDX-License-Identifier: GPL-2.0
// Remembers the first packet of each connection, from when it is confirmed until the entry ends. By
// then it is routed and translated, and about to leave or to be delivered: it still shows by which
// interface it came, and already by which it leaves.
//
// What it showed is in an array of sets of four, chosen by the address of the entry: a third of
// what a hash map costs. Where a set is full, an older connection loses its place, and is later not
// found.

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net_device {
	int ifindex;
};
struct sk_buff {
	struct net_device *dev;
	unsigned long _skb_refdst;
	unsigned long _nfct;
	u8 cb[48];
	int skb_iif;
	u16 vlan_tci;
	u16 network_header, mac_header, mac_len;
	u8 *head;
};
struct sk_buff___6_1 {
	u8 vlan_present : 1;
};
struct dst_entry {
	struct net_device *dev;
};
struct rtable {
	u32 rt_flags;
};
struct rt6_info {
	u32 rt6i_flags;
};

#pragma clang attribute pop

#define NFCT_PTRMASK (~7ul)
#define SKB_DST_PTRMASK (~1ul)
#define VLAN_VID_MASK 0xfff
#define ETH_ALEN 6
#define ETH_HLEN 14

#define RTCF_LOCAL (1u << 31 | 1u << 29 | 1u << 28)        // or MULTICAST, or BROADCAST
#define RTF_LOCAL (1u << 31 | 1u << 20)                    // or ANYCAST

// first is a place in a set.
struct first {
	u64 ct; // the entry's address; FREE, or BUSY while it is written
	struct packet packet;
};
enum { FREE = 0, BUSY = 1, WAYS = 4 };
struct set {
	struct first ways[WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); // set by the loader, a power of 2
	__type(key, u32);
	__type(value, struct set);
} firsts SEC(".maps");

const volatile u32 last_set = 0; // the index of the last one

// Entries are at least 256 bytes apart, so that neighbours have neighbouring sets.
static __always_inline struct set *set_of(u64 ct)
{
	u32 i = ct >> 8 & last_set;

	return bpf_map_lookup_elem(&firsts, &i);
}

static __always_inline struct first *way_of(struct set *s, u64 ct)
{
	return s->ways[0].ct == ct ? &s->ways[0] :
	       s->ways[1].ct == ct ? &s->ways[1] :
	       s->ways[2].ct == ct ? &s->ways[2] :
	       s->ways[3].ct == ct ? &s->ways[3] : 0;
}

// recall copies the first packet of an entry, or zeroes if it is not known. Another connection may take
// the place meanwhile: then the place's owner isn't ct any more, and what was copied doesn't count. next
// is the owner from now on: ct or FREE.
static __always_inline void recall(struct packet *to, u64 ct, u64 next)
{
	struct set *s = set_of(ct);
	struct first *f = s ? way_of(s, ct) : 0;

	if (f) {
		*to = f->packet;
		if (__sync_val_compare_and_swap(&f->ct, ct, next) == ct)
			return;
	}
	__builtin_memset(to, 0, sizeof *to);
}

// forget frees the place of an entry that was not confirmed in the end.
static __always_inline void forget(u64 ct)
{
	struct set *s = set_of(ct);
	struct first *f = s ? way_of(s, ct) : 0;

	if (f)
		__sync_val_compare_and_swap(&f->ct, ct, FREE);
}

// remember notes the first packet of an entry: in its own place, since the previous entry at this
// address may have ended unnoticed, else in a free one, else in another connection's. It is not
// noted if another processor is writing there.
static __always_inline void remember(u64 ct, struct packet *p)
{
	struct set *s = set_of(ct);
	struct first *f;

	if (!s)
		return;
	f = way_of(s, ct);
	if (!f)
		f = way_of(s, FREE);
	if (!f)
		f = &s->ways[ct >> 26 & (WAYS - 1)];
	u64 owner = f->ct;
	if (owner == BUSY || __sync_val_compare_and_swap(&f->ct, owner, BUSY) != owner)
		return;
	f->packet = *p;
	__sync_lock_test_and_set(&f->ct, ct);
}

// GET is a field of a packet, or of its device, whose types the verifier may know.
#define GET(how, field) ((how) == COPIED ? READ(COPIED, field) : (field))

// headers reads what the headers of the second and the third layer show. Frames with an Ethernet
// header have an IP header behind it.
static __always_inline void headers(struct packet *p, struct sk_buff *skb, int how)
{
	struct {
		u8 source[ETH_ALEN], type[2], ip[8];
	} h = {};
	u8 *head = GET(how, skb->head);
	u16 ip = GET(how, skb->network_header), mac = GET(how, skb->mac_header);

	if (p->input && GET(how, skb->mac_len) == ETH_HLEN && mac + ETH_HLEN == ip) {
		read(&h, sizeof h, head + mac + ETH_HLEN - 8, how);
		__builtin_memcpy(p->mac, h.source, sizeof p->mac);
	} else
		read(h.ip, sizeof h.ip, head + ip, how);
	p->tos = h.ip[0] >> 4 == 4 ? h.ip[1] : h.ip[0] << 4 | h.ip[1] >> 4;
}

// input returns the interface by which a packet came; 0: it is the router's own. In skb_iif, a VRF
// replaces its member, which is still the first value of the control block, IPv4's and IPv6's (struct
// inet_skb_parm, struct inet6_skb_parm). IP options come next, and a bridge has a pointer there:
// neither is an ifIndex.
static __always_inline u32 input(struct sk_buff *skb, int how)
{
	u32 index = GET(how, skb->skb_iif);

	if (!index)
		return 0;
	u64 parm = GET(how, *(u64 *)skb->cb);
	return parm && parm < 1ull << 31 ? parm : index;
}

// is_local reports whether a route leads to the router itself.
static __always_inline int is_local(u64 route, struct nf_conn *ct, int how)
{
	struct { // of struct tuple
		__be16 src_port;
		u16 family;
		u8 dst[4];
	} t = {};

	read(&t, sizeof t, (void *)&ct->tuplehash[0].tuple + __builtin_offsetof(struct tuple, src_port),
		how);
	if (t.family == AF_INET6) {
		struct rt6_info *to = (void *)route;
		u32 flags = bpf_core_field_exists(to->rt6i_flags) ? READ(how, to->rt6i_flags) : 0;
		return flags & RTF_LOCAL || t.dst[0] == 0xff;
	}
	return READ(how, ((struct rtable *)route)->rt_flags) & RTCF_LOCAL;
}

// output returns the interface by which a packet leaves; 0: it is delivered to the router itself.
// While a packet has no device, or still the one by which it came, its route's counts: of what leaves
// by the same interface, or is about to be encrypted (IPsec).
static __always_inline u32 output(struct sk_buff *skb, struct nf_conn *ct, int how)
{
	struct net_device *dev = GET(how, skb->dev);
	u32 index = dev ? GET(how, dev->ifindex) : 0;
	u32 in = GET(how, skb->skb_iif);

	if (index && index != in)
		return index;
	u64 route = GET(how, skb->_skb_refdst) & SKB_DST_PTRMASK;
	if (!route || (in && is_local(route, ct, how)))
		return 0;
	dev = READ(how, ((struct dst_entry *)route)->dev);
	return READ(how, dev->ifindex);
}

// vlan returns the VLAN of a tag that a packet still has: that of a VLAN interface is gone.
static __always_inline u16 vlan(struct sk_buff *skb, int how)
{
	struct sk_buff___6_1 *old = (void *)skb;

	if (bpf_core_field_exists(old->vlan_present) &&
	    !(how == COPIED ? BPF_CORE_READ_BITFIELD_PROBED(old, vlan_present) :
			      BPF_CORE_READ_BITFIELD(old, vlan_present)))
		return 0;
	return GET(how, skb->vlan_tci) & VLAN_VID_MASK;
}

// confirmed notes what a packet shows whose connection is being confirmed.
static __always_inline int confirmed(struct sk_buff *skb, int how)
{
	struct nf_conn *ct = (void *)(GET(how, skb->_nfct) & NFCT_PTRMASK);
	struct packet p = {.known = 1};

	if (!ct || is_foreign(READ(how, ct->ct_net.net), how))
		return 0;
	p.input = input(skb, how);
	p.output = output(skb, ct, how);
	p.vlan = vlan(skb, how);
	headers(&p, skb, how);
	remember((u64)ct, &p);
	return 0;
}
