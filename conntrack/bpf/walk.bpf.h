// SPDX-License-Identifier: GPL-2.0
// Walks over conntrack's table (nf_conntrack_hash), some buckets in each run, and writes a record of
// each entry that it meets. Nothing is locked: packets pass, entries begin and end meanwhile. An entry
// that ends may be used again for another connection at once (SLAB_TYPESAFE_BY_RCU), in another
// chain: so each is read twice, and each chain must end with its own number.

enum {
	ROOM = 256,     // records of one run; a power of 2
	BUCKETS = 8192, // of one run, at most
	GROUP = 64,     // buckets that are read at a time
	TRIES = 8,      // of a chain that changes while it is read
	LONGEST = 8192, // entries that a chain may have
	VISITS = 1024,  // entries of one run, those of other network namespaces included
};

// Why a run has ended before BUCKETS or until; 0: it hasn't.
enum { PAUSED = 1, TOO_LONG, MOVED, UNSETTLED };

// walk is what the programs share with walk.go.
struct walk {
	u64 marker;          // an entry that walk.go has inserted; 0: it isn't in the table
	u64 net;             // its network namespace
	u64 table;           // where the table is; 0: not found
	u64 began_ns;        // this run, by CLOCK_MONOTONIC
	u32 address;         // at both ends of the marker
	u32 bucket;          // the marker's
	u32 next, until;     // buckets
	u32 written;         // records of this run
	u32 stopped;         // why this run has ended
	u32 marked;          // how often this walk has met the marker
	u32 began;           // this run, in jiffies
	u32 grace;           // jiffies after which an entry is taken to have expired
	u32 torn;            // entries that ended while they were read, in all
	u32 visits, tries;
	struct image entry; // that is read

	u64 heads[GROUP];
	u64 entries[ROOM]; // where those of the records are
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct walk);
} walks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, ROOM);
	__type(key, u32);
	__type(value, struct record);
} records SEC(".maps");

// identity tells an expired entry from another one at the same place: its timeout changes no more.
struct identity {
	u64 start;
	u64 timeout;
};

// expired are the entries that a walk has shown as ended: they are freed later.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u64);
	__type(value, struct identity);
} expired SEC(".maps");

static __always_inline struct walk *shared(void)
{
	u32 zero = 0;

	return bpf_map_lookup_elem(&walks, &zero);
}

static __always_inline u64 start_of(struct nf_conn *ct, int how)
{
	void *ext = READ(how, ct->ext);
	u8 stamps = EXTENSION(offsets_in(ext, how), NF_CT_EXT_TSTAMP);
	u64 start = 0;

	if (stamps)
		read(&start, sizeof start, ext + stamps, how);
	return start;
}

static __always_inline int is_same(struct identity *a, struct identity *b)
{
	return a->start == b->start && a->timeout == b->timeout;
}

// was_shown reports whether an entry that is freed needs no record: a walk has shown its end, or it
// is the marker.
static __always_inline int was_shown(u64 key, u32 timeout, int how)
{
	struct walk *w = shared();

	if (!w)
		return 0;
	if (key == w->marker) {
		w->marker = 0;
		return 1;
	}
	if ((__s32)(timeout - w->began) >= 0) // it hadn't expired
		return 0;
	struct identity *shown = bpf_map_lookup_elem(&expired, &key);
	if (!shown)
		return 0;
	struct identity self = {.start = start_of((void *)key, how), .timeout = timeout};
	int same = is_same(shown, &self);
	bpf_map_delete_elem(&expired, &key);
	return same;
}

static __always_inline int is_tuple(struct tuple *a, struct nf_conntrack_tuple *b)
{
	u64 *x = (u64 *)a, *y = (u64 *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3] && x[4] == y[4];
}

// node is what a chain consists of: struct nf_conntrack_tuple_hash.
struct node {
	u64 next, pprev;
	struct tuple tuple;
};

static __always_inline int is_end(u64 node) { return node & 1 || !node; }

static long forward(u32 i, u64 *node)
{
	if (is_end(*node))
		return 1;
	copy(node, sizeof *node, (void *)*node);
	return 0;
}

struct place {
	u64 node, table;
	u32 bucket;
};

// is_table reports whether a table is where another bucket's chain, too, ends with its number. What
// refers to a node may be in another node instead of the table.
static __always_inline int is_table(u64 table, u32 bucket)
{
	u32 neighbour = bucket ^ 1;
	u64 node = 0;

	if (table & 4095) // it begins with a page
		return 0;
	copy(&node, sizeof node, (void *)(table + 8ull * neighbour));
	bpf_loop(LONGEST, forward, &node, 0);
	return node == 2ull * neighbour + 1;
}

// backward looks for the chain's head.
static long backward(u32 i, struct place *p)
{
	struct node n = {};

	copy(&n, sizeof n.next + sizeof n.pprev, (void *)p->node);
	u64 table = n.pprev - 8ull * p->bucket;
	if (!n.pprev || n.pprev & 7)
		return 1;
	if (is_table(table, p->bucket)) {
		p->table = table;
		return 1;
	}
	p->node = n.pprev; // a node begins with what refers to the next one
	return 0;
}

struct __sk_buff {
	u32 len;
};
struct bpf_sock_tuple {
	struct {
		__be32 saddr, daddr;
		__be16 sport, dport;
	} ipv4;
};
struct bpf_ct_opts {
	__s32 netns_id, error;
	u8 l4proto, dir, reserved[2];
};
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
	u32 tuple_size, struct bpf_ct_opts *opts, u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *ct) __ksym;

// look looks the marker up, in the network namespace of the thread that runs the program. The kernel
// has it wait while it moves entries to another table.
static __always_inline void look(struct walk *w, struct __sk_buff *skb)
{
	struct bpf_sock_tuple t = {.ipv4 = {.saddr = w->address, .daddr = w->address}};
	struct bpf_ct_opts o = {.netns_id = -1, .l4proto = IPPROTO_UDP};

	w->marker = 0;
	struct nf_conn *ct = bpf_skb_ct_lookup(skb, &t, sizeof t, &o, sizeof o);
	if (!ct)
		return;
	w->marker = (u64)ct; // a number from here on: the verifier would compute with no entry
	bpf_ct_release(ct);
	barrier();
	copy(&w->net, sizeof w->net, &((struct nf_conn *)w->marker)->ct_net.net);
}

// find finds the table: the marker's chain begins there, and ends with the number of its bucket.
SEC("tc")
int find(struct __sk_buff *skb)
{
	struct walk *w = shared();
	u64 node;

	if (!w)
		return 0;
	w->table = 0;
	look(w, skb);
	if (!w->marker)
		return 0;
	struct place p = {
		.node = w->marker + bpf_core_field_offset(struct nf_conn, tuplehash),
	};
	node = p.node;
	bpf_loop(LONGEST, forward, &node, 0);
	if (!(node & 1))
		return 0;
	p.bucket = node >> 1;
	bpf_loop(LONGEST, backward, &p, 0);
	w->table = p.table;
	w->bucket = p.bucket;
	return 0;
}

static __always_inline int is_alive(unsigned long status)
{
	return status & IPS_CONFIRMED && !(status & IPS_DYING);
}

// unchanged reports whether what was read of an entry is of one connection, which hasn't ended.
static __always_inline int unchanged(struct record *r, struct nf_conn *ct, int how)
{
	unsigned long status = READ(how, ct->status);
	u32 use = READ(how, *(u32 *)&ct->ct_general.use);

	return use && is_alive(status) && start_of(ct, how) == r->event.stamps[0];
}

// chain is a chain that is read.
struct chain {
	struct walk *walk;
	u64 node;
	u32 marked, expired, full;
};

// show writes the record of an entry, if it is one to show. Its tuple was in the chain.
static __always_inline void show(struct chain *c, struct nf_conn *ct, struct tuple *orig, int how)
{
	struct walk *w = c->walk;
	u32 i = w->written;
	struct view v;

	if (how == DIRECT) {
		v = in_place((u64)ct);
	} else {
		copy_entry(&w->entry, ct);
		v = view_of(&w->entry);
	}
	if ((u64)v.entry->ct_net.net != w->net)
		return;
	if ((u64)ct == w->marker) {
		c->marked++;
		return;
	}
	struct record *r = bpf_map_lookup_elem(&records, &i);
	if (!r) {
		c->full = 1;
		return;
	}
	fill(r, v, (u64)ct, (u64)ct, how);
	if (r->event.orig.proto == IPPROTO_TCP) {
		r->event.tcp_flags[0] = v.proto->tcp.seen[0].flags;
		r->event.tcp_flags[1] = v.proto->tcp.seen[1].flags;
	}
	barrier(); // what is in place is loaded again
	if (!is_alive(r->event.status) || !is_tuple(orig, &v.entry->tuplehash[0].tuple) ||
	    !unchanged(r, ct, how)) {
		w->torn++;
		return;
	}
	if ((__s32)(r->timeout + w->grace - w->began) < 0) {
		r->flags |= EXPIRED;
		c->expired = 1;
	}
	w->entries[i & (ROOM - 1)] = (u64)ct;
	w->written = i + 1;
}

static __always_inline long visit(struct chain *c, int how)
{
	struct node n = {};

	if (is_end(c->node) || c->full)
		return 1;
	c->walk->visits++;
	read(&n, sizeof n, (void *)c->node, how);
	if (!n.tuple.dir)
		show(c, (void *)c->node - bpf_core_field_offset(struct nf_conn, tuplehash), &n.tuple, how);
	c->node = n.next;
	return 0;
}

// bury decides which expired entries are shown, and remembers them: each once, and only if its record
// of ended is not to come, or has come already.
static __always_inline long bury(u32 i, struct chain *c, int how)
{
	struct walk *w = c->walk;
	u32 at = w->written - 1 - i;
	u64 key = w->entries[at & (ROOM - 1)];
	struct record *r = bpf_map_lookup_elem(&records, &at);

	if (!r || !(r->flags & EXPIRED))
		return 0;
	struct identity self = {.start = r->event.stamps[0], .timeout = r->timeout};
	struct identity *shown = bpf_map_lookup_elem(&expired, &key);
	if (shown && is_same(shown, &self))
		r->flags |= SHOWN;
	else if (bpf_map_update_elem(&expired, &key, &self, 0))
		r->flags &= ~EXPIRED; // no room: it is shown when it is freed
	else if (!unchanged(r, (void *)key, how) && !bpf_map_delete_elem(&expired, &key))
		r->flags |= SHOWN; // it is freed now, and was_shown didn't meet it
	return 0;
}

// The programs below are compiled for each way to read: a loop takes a function of its own.
typedef long each_entry(u32 i, struct chain *c);
typedef long each_bucket(u32 i, struct walk **walk);

// bucket shows the entries of one chain, and advances the walk.
static __always_inline long bucket(u32 i, struct walk *w, each_entry *visit, each_entry *bury)
{
	u32 number = (w->next & ~(GROUP - 1)) + (i & (GROUP - 1)), written = w->written;
	u64 first = w->heads[i & (GROUP - 1)], end = 2ull * number + 1, now = 0;

	if (number < w->next)
		return 0;
	if (first & 1) {
		if (first != end) {
			w->stopped = MOVED;
			return 1;
		}
		w->next++;
		return 0;
	}
	struct chain c = {.walk = w, .node = first};
	bpf_loop(LONGEST, visit, &c, 0);
	copy(&now, sizeof now, (void *)(w->table + 8ull * number));
	if (c.full) {
		w->stopped = written ? PAUSED : TOO_LONG;
	} else if (c.node != end || now != first) { // what changes it makes us miss entries, or repeat them
		if (w->tries++ >= TRIES)
			w->stopped = UNSETTLED;
	} else {
		if (c.expired)
			bpf_loop(w->written - written, bury, &c, 0);
		w->marked += c.marked;
		w->tries = 0;
		w->next++;
		if (w->visits >= VISITS)
			w->stopped = PAUSED;
		return w->stopped || number % GROUP == GROUP - 1;
	}
	w->written = written;
	return 1;
}

static __always_inline long group(struct walk **walk, each_bucket *bucket)
{
	struct walk *w = *walk;
	u32 first = w->next & ~(GROUP - 1);
	u64 sum = 0;

	if (w->next >= w->until || w->stopped)
		return 1;
	copy(w->heads, sizeof w->heads, (void *)(w->table + 8ull * first));
#pragma unroll
	for (int k = 0; k < GROUP; k++)
		sum += w->heads[k];
	// The head of an empty chain is its end: 2 * number + 1.
	if (sum == 2ull * GROUP * first + GROUP * GROUP)
		w->next = first + GROUP;
	else
		bpf_loop(GROUP, bucket, walk, 0);
	return 0;
}

static __always_inline int run(each_bucket *group)
{
	struct walk *w = shared();

	if (!w || !w->table)
		return 0;
	w->began = bpf_jiffies64();
	w->began_ns = bpf_ktime_get_ns();
	w->written = w->visits = w->tries = w->stopped = 0;
	bpf_loop(BUCKETS / GROUP, group, &w, 0);
	return 0;
}

#define WALK(name, how)                                                                             \
	static long visit_##name(u32 i, struct chain *c) { return visit(c, how); }                  \
	static long bury_##name(u32 i, struct chain *c) { return bury(i, c, how); }                 \
	static long bucket_##name(u32 i, struct walk **walk)                                        \
	{                                                                                           \
		return bucket(i, *walk, visit_##name, bury_##name);                                 \
	}                                                                                           \
	static long group_##name(u32 i, struct walk **walk) { return group(walk, bucket_##name); }  \
	SEC("raw_tp/conntally_walk") int name(void *ctx) { return run(group_##name); }

WALK(walk_direct, DIRECT)
WALK(walk_copied, COPIED)
