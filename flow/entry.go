package flow

import (
	"time"

	"github.com/conntally/conntally/conntrack"
)

// entry is what the table keeps of one conntrack entry. It has no pointers, so
// that the garbage collector passes a full table by. Times are of the monotonic
// clock.
//
// What a dump looks at where nothing moved comes first: two cache lines.
type entry struct {
	key       conntrack.Key
	last      [2]conntrack.Counters // the kernel's, as last read
	begin     int64                 // of the record being collected
	moved     int64                 // last packet, as far as known
	seen      int64                 // when last was read
	dump      uint32
	after     place // what the last dump showed next, or none
	state     uint8
	asleep    bool // idle, nothing pending: the next packet begins anew
	begun     bool // its beginning is exported, or was before our time
	midstream bool // TCP whose SYN is not known to have passed

	pending [2]conntrack.Counters // moved since the last record
	reply   conntrack.Tuple
	path    Path
	version uint32 // of the RouteResolver that path is from
}

// isOf tells whether en is the flow of e's entry: its key is e.Key().
func (en *entry) isOf(e *conntrack.Event) bool {
	k := &en.key
	return k.ID == e.ID && k.Start == e.Start && k.Zone == e.Zone &&
		k.ReplyZone == e.ReplyZone && k.Orig == e.Orig
}

// id numbers the connection: CTA_ID in the upper half, which `conntrack -o id` shows,
// and in the lower one of its start what tells it from others of the same CTA_ID.
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

// updateState takes over what may change in the life of an entry. The reply's tuple
// can't: NAT is settled before an entry is in the kernel's table.
func (en *entry) updateState(e *conntrack.Event) {
	if e.State == 0 { // an offloaded entry has none
		return
	}
	en.state = e.State
	if e.Kind == conntrack.Live { // an end has no flags
		en.midstream = e.PickedUp()
	}
}

// startsMidstream reports whether the SYN of a connection that is seen for the first
// time is not known to have passed. Offloaded entries have neither state nor flags. What
// is seen only at its end, without flags, began since the last dump.
func startsMidstream(e *conntrack.Event) bool {
	return e.Kind == conntrack.Live && e.Orig.Proto == conntrack.ProtoTCP && (e.State == 0 || e.PickedUp())
}

// rewound tells whether any counter went down.
func (en *entry) rewound(c *[2]conntrack.Counters) bool {
	for d := range c {
		if c[d].Packets < en.last[d].Packets || c[d].Bytes < en.last[d].Bytes {
			return true
		}
	}
	return false
}

// count adds what moved since the counters were last read. Counters that another
// program zeroed begin again at 0: what they hold is new, nothing wraps.
func (en *entry) count(c *[2]conntrack.Counters) (moved bool) {
	for d := range c {
		base := en.last[d]
		if c[d].Packets < base.Packets || c[d].Bytes < base.Bytes {
			base = conntrack.Counters{}
		}
		if c[d] != base {
			en.pending[d].Packets += c[d].Packets - base.Packets
			en.pending[d].Bytes += c[d].Bytes - base.Bytes
			moved = true
		}
		en.last[d] = c[d]
	}
	return moved
}

// wake begins a new record where an idle entry moves again: the packet passed
// after the counters were last read.
func (en *entry) wake() {
	if en.asleep {
		en.begin, en.asleep = en.seen, false
	}
}

func (en *entry) hasPending() bool {
	return en.pending != [2]conntrack.Counters{}
}
