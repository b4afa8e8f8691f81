package conntracktest

import (
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// Kernel is one network namespace's connection tracking.
type Kernel struct {
	clock   clock
	buckets atomic.Int64

	mu              sync.Mutex
	table           table
	acct, timestamp bool
	lastID          uint32
	events          []*events
	dumps           []*dumps

	refused unix.Errno // the answer to the next request for a dump
	broken  unix.Errno // the end of the next dump

	begins     []*begins
	loseBegins bool
	hidden     int        // entries that are counted, but not in the table
	unanswered unix.Errno // the answer to the next question
	requested  int        // dumps
}

// firstBuckets is so small that a Reader dumps: see Kernel.SetBuckets.
const firstBuckets = 8192

// New returns an empty Kernel with nf_conntrack_acct and _timestamp on.
func New() *Kernel {
	k := &Kernel{
		clock: clock{now: conntrack.Timestamp{Mono: firstMono, Wall: firstWall}},
		table: newTable(), acct: true, timestamp: true,
	}
	k.SetBuckets(firstBuckets)
	return k
}

// SetBuckets sets nf_conntrack_buckets, which Readers see. All entries stay in the order
// of dumps. With 16,384 buckets or more and few entries, a Reader asks for single entries.
func (k *Kernel) SetBuckets(n int) { k.buckets.Store(int64(n)) }

// SetAcct sets nf_conntrack_acct: entries created while it is false are never
// counted.
func (k *Kernel) SetAcct(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.acct = on
}

// SetTimestamp sets nf_conntrack_timestamp: entries created while it is false
// have neither Start nor Stop.
func (k *Kernel) SetTimestamp(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.timestamp = on
}

// Create adds an entry like e and returns its key. It fills in an ID, a Start and
// a Reply tuple if e has none, sets Confirmed, and makes a Timeout of 0 30 seconds. Counted
// follows nf_conntrack_acct. Type, At, Stop and Portid are ignored.
func (k *Kernel) Create(e conntrack.Event) conntrack.Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fill(&e)
	key := e.Key()
	if _, exists := k.table.byKey[key]; exists {
		panic(fmt.Sprintf("conntracktest: entry %+v exists", key))
	}
	k.table.add(e)
	k.announce(&e)
	return key
}

func (k *Kernel) fill(e *conntrack.Event) {
	k.lastID++
	if e.ID == 0 {
		e.ID = k.lastID
	}
	if e.Timeout == 0 {
		e.Timeout = 30
	}
	if e.Start == 0 {
		e.Start = k.clock.read().Wall
	}
	if !k.timestamp {
		e.Start = 0
	}
	if e.Reply == (conntrack.Tuple{}) {
		e.Reply = Inverse(e.Orig)
	}
	e.Type, e.At, e.Stop, e.Portid = conntrack.Dump, conntrack.Timestamp{}, 0, 0
	e.Status |= conntrack.Confirmed
	e.HasTimeout = hasTimeout(e)
	e.Counted = k.acct
}

// hasTimeout reports whether a dump has an entry's timeout: it leaves out that of an offloaded one,
// as well as its state.
func hasTimeout(e *conntrack.Event) bool { return e.Status&conntrack.Offload == 0 }

// Inverse returns the tuple of the replies where there is no NAT
// (nf_ct_invert_tuple).
func Inverse(t conntrack.Tuple) conntrack.Tuple {
	t.Src, t.Dst = t.Dst, t.Src
	switch t.Proto {
	case conntrack.ProtoICMP, conntrack.ProtoICMPv6:
		t.DstPort = answers(t.DstPort)
	default:
		t.SrcPort, t.DstPort = t.DstPort, t.SrcPort
	}
	return t
}

// answers inverts ICMP types (type<<8 | code) that conntrack follows.
func answers(typeCode uint16) uint16 {
	pairs := [...][2]uint16{
		{8, 0}, {13, 14}, {15, 16}, {17, 18}, // ICMP: echo, timestamp, information, mask
		{128, 129}, {139, 140}, // ICMPv6: echo, node information
	}
	for _, pair := range pairs {
		switch typeCode >> 8 {
		case pair[0]:
			return pair[1]<<8 | typeCode&0xff
		case pair[1]:
			return pair[0]<<8 | typeCode&0xff
		}
	}
	return typeCode
}

// Entry returns a copy of a living entry.
func (k *Kernel) Entry(key conntrack.Key) conntrack.Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.get(key).event
}

// Len returns how many entries live.
func (k *Kernel) Len() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.table.byKey)
}

// Count adds to an entry's counters, if it has any, as packets that pass in
// direction d. A reply sets SeenReply.
func (k *Kernel) Count(key conntrack.Key, d conntrack.Direction, packets, bytes uint64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.get(key)
	if n.event.Counted {
		n.event.Counters[d].Packets += packets
		n.event.Counters[d].Bytes += bytes
	}
	if d == conntrack.Reply {
		n.event.Status |= conntrack.SeenReply
	}
	k.table.changed(n)
}

// Update lets change alter anything of an entry but its key: its TCP state, its
// timeout, its status. A Stop that it sets is the Stop of its end.
func (k *Kernel) Update(key conntrack.Key, change func(*conntrack.Event)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.get(key)
	change(&n.event)
	if n.event.Key() != key {
		panic("conntracktest: Update changed the key")
	}
	n.event.HasTimeout = hasTimeout(&n.event)
	k.table.changed(n)
}

// Destroy lets an entry expire: its event has the final counters, start and stop
// (now, unless Update has set it), and no timeout.
func (k *Kernel) Destroy(key conntrack.Key) {
	k.end(key, func(e *conntrack.Event) { k.queue(e) })
}

// DestroyTwice is Destroy with the event sent twice, as happens when another program's reliable
// socket stalls.
func (k *Kernel) DestroyTwice(key conntrack.Key) {
	k.end(key, func(e *conntrack.Event) { k.queue(e); k.queue(e) })
}

// LoseDestroy is Destroy with an event that is lost.
func (k *Kernel) LoseDestroy(key conntrack.Key) {
	k.end(key, func(*conntrack.Event) {})
}

// Delete removes an entry before it expires: its event has a timeout. portid is that of the program
// that deleted it, or 0 for the kernel.
func (k *Kernel) Delete(key conntrack.Key, portid uint32) {
	k.end(key, func(e *conntrack.Event) {
		e.HasTimeout, e.Portid = e.Timeout > 0, portid
		k.queue(e)
	})
}

// end removes an entry and passes what its event says.
func (k *Kernel) end(key conntrack.Key, send func(*conntrack.Event)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n := k.get(key)
	k.table.remove(n)
	e := &n.event
	e.Type, e.Portid, e.HasTimeout = conntrack.Destroy, 0, false
	e.Status |= conntrack.Dying
	if e.Start == 0 {
		e.Stop = 0
	} else if e.Stop == 0 {
		e.Stop = k.clock.read().Wall
	}
	send(e)
}

// queue sends an event to all sockets.
func (k *Kernel) queue(e *conntrack.Event) {
	for _, s := range k.events {
		s.push(e)
	}
}

func (k *Kernel) get(key conntrack.Key) *entry {
	n := k.table.byKey[key]
	if n == nil {
		panic(fmt.Sprintf("conntracktest: no entry %+v", key))
	}
	return n
}
