package flow

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

// entry is what the table holds of one conntrack entry. It has no pointers, so
// that the garbage collector skips a full table. Times are of the monotonic clock.
//
// The fields that a dump reads if nothing moved come first: two cache lines.
type entry struct {
	key           conntrack.Key
	last          [2]conntrack.Counters // the kernel's, as last read
	start         int64                 // of the record being collected
	lastPacket    int64                 // last packet, as far as known
	readAt        int64                 // when last was read
	dump          uint32
	next          place // the entry that the last dump showed next, or none
	state         uint8
	idle          bool // idle, nothing pending: the next packet begins a new record
	beginExported bool // its beginning is exported, or was before the first run
	midstream     bool // TCP whose SYN is not known to have passed
	basis         basis
	tos           uint8  // of the first packet, as are vlan and mac
	vlan          uint16 // of a tag on it

	// The fields that change if packets have moved come next: another line.
	pending [2]conntrack.Counters // moved since the last record
	slot    uint32                // of the Meter
	movedIn uint32                // the number of the dump interval in which moved was read
	mark    uint32                // conntrack's, when last something moved or was exported
	moved   [2]uint64             // bytes, at the last reading that found any

	reply   conntrack.Tuple
	mac     [6]byte
	path    Path
	version uint32 // of the RouteResolver that path is from
}

// isOf reports whether en is the flow of e's entry: its key is e.Key().
//
// It compares field by field: for whole tuples the compiler would call a function.
func (en *entry) isOf(e *conntrack.Event) bool {
	k, a, b := &en.key, &en.key.Orig, &e.Orig
	return k.ID == e.ID && k.Start == e.Start && k.Zone == e.Zone &&
		k.ReplyZone == e.ReplyZone && a.Src == b.Src && a.Dst == b.Dst &&
		a.SrcPort == b.SrcPort && a.DstPort == b.DstPort && a.Family == b.Family &&
		a.Proto == b.Proto
}

// id identifies the connection: the upper half is CTA_ID, which `conntrack -o id` shows, the
// lower one is taken from its start, which differs between connections of one CTA_ID.
func (en *entry) id() uint64 {
	return uint64(en.key.ID)<<32 | uint64(uint32(en.key.Start/int64(time.Microsecond)))
}

// zone returns the zone that packets of one direction are looked up in.
func (en *entry) zone(d conntrack.Direction) uint16 {
	if d == conntrack.Reply {
		return en.key.ReplyZone
	}
	return en.key.Zone
}

// updateState copies what may change during the life of an entry. The reply's tuple
// can't: NAT is settled before an entry is in the kernel's table.
func (en *entry) updateState(e *conntrack.Event) {
	if e.State == 0 { // an offloaded entry has none
		return
	}
	en.state = e.State
	if e.Type == conntrack.Dump { // a DESTROY has no flags
		en.midstream = e.PickedUp()
	}
}

// startsMidstream reports whether the SYN of a connection that is seen for the first
// time is not known to have passed. Offloaded entries have neither state nor flags. An
// entry that is seen only at its end, without flags, began since the last dump.
func startsMidstream(e *conntrack.Event) bool {
	return e.Type == conntrack.Dump && e.Orig.Proto == conntrack.ProtoTCP &&
		(e.State == 0 || e.PickedUp())
}

// countersReset reports whether any counter went down.
func (en *entry) countersReset(c *[2]conntrack.Counters) bool {
	last := &en.last
	return c[0].Packets < last[0].Packets || c[0].Bytes < last[0].Bytes ||
		c[1].Packets < last[1].Packets || c[1].Bytes < last[1].Bytes
}

// movedSince reports whether c counts packets that passed after the last reading.
// Counters that are zero were reset.
func (en *entry) movedSince(c *[2]conntrack.Counters) bool {
	return !en.hasRead(c) && !isZero(c)
}

// hasRead reports whether the counters were c when last read. It compares without a call, too.
func (en *entry) hasRead(c *[2]conntrack.Counters) bool {
	return c[0] == en.last[0] && c[1] == en.last[1]
}

// add adds what moved since the counters were last read, stores that in delta, and
// reports whether anything did. None of them has gone down. The next record of an idle
// entry begins at the last reading: the packet passed after that.
func (en *entry) add(c, delta *[2]conntrack.Counters) (moved bool) {
	for d := range c {
		base := en.last[d]
		delta[d] = conntrack.Counters{
			Packets: c[d].Packets - base.Packets, Bytes: c[d].Bytes - base.Bytes,
		}
		if c[d] != base {
			en.pending[d].Packets += delta[d].Packets
			en.pending[d].Bytes += delta[d].Bytes
			moved = true
		}
		en.last[d] = c[d]
	}
	if moved && en.idle {
		en.start, en.idle = en.readAt, false
	}
	return moved
}

// wasZeroed reports whether an entry that is seen for the first time has counted packets that it
// doesn't show any more: both directions have sent some. A program that inserts entries (conntrackd)
// has TCP ones look as if they were picked up.
func wasZeroed(e *conntrack.Event) bool {
	return e.Status&conntrack.SeenReply != 0 && isZero(&e.Counters) && !e.PickedUp()
}

func (en *entry) hasPending() bool {
	return !isZero(&en.pending)
}

// isZero compares without a call, as the compiler's comparison of 32 bytes would be.
func isZero(c *[2]conntrack.Counters) bool {
	return c[0].Packets|c[0].Bytes|c[1].Packets|c[1].Bytes == 0
}

// used distinguishes an entry from an empty place.
func (en *entry) used() bool { return en.key.Orig.Family != 0 }
