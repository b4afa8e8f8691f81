package bpf

import (
	"encoding/binary"
	"math/bits"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// record is what the programs write of an entry: struct record in connection.bpf.h. It begins with an
// Event as Go lays it out on the machines that the programs are made for, little-endian ones of 64
// bits, so that reading a record is little more than copying it.
type record struct {
	// event is of a Destroy, without At, ID, Once and the timeout. Its Type is not set.
	event        conntrack.Event
	timeout, now uint32 // in jiffies
	flags        uint32
	_            uint32
}

const (
	recordSize = int(unsafe.Sizeof(record{}))

	// By a walk.
	flagExpired = 1 // it is still in the table, but has expired
	flagShown   = 2 // an earlier walk has shown its end
)

// read reads a record into e, without At and Once, and reports whether it is one. hz is the number of
// the kernel's jiffies in a second.
func (r *record) read(hz int32, e *conntrack.Event) bool {
	at := e.At
	*e = r.event
	e.At, e.Type = at, conntrack.Destroy
	if !isFamily(e.Orig.Family) || !isFamily(e.Reply.Family) {
		return false
	}
	// As ctnetlink_dump_timeout does it.
	if left := int32(r.timeout - r.now); left >= hz {
		e.Timeout, e.HasTimeout = uint32(left/hz), true
	}
	e.ID = idOf(e)
	return true
}

func isFamily(family uint8) bool { return family == unix.AF_INET || family == unix.AF_INET6 }

// readWalked reads a record of a walk as read does, and returns whether it is one to show, and
// whether it is one at all. What is read is what netlink reports of a living entry, or of one that a
// dump evicts. The run of the program began at began jiffies and wall nanoseconds since 1970.
func (r *record) readWalked(
	hz int32, began uint32, wall int64, e *conntrack.Event,
) (shown, ok bool) {
	if !r.read(hz, e) {
		return false, false
	}
	if r.flags&flagExpired != 0 {
		e.Status |= conntrack.Dying
		e.TCPFlags = [2]conntrack.TCPFlags{}
		e.Stop = 0
		if e.Start != 0 {
			ago := int32(began - r.timeout)
			e.Stop = wall - int64(time.Second)/int64(hz)*int64(ago)
		}
		return r.flags&flagShown == 0, true
	}
	e.Type, e.HasTimeout = conntrack.Dump, true
	if e.Status&conntrack.Offload != 0 { // ctnetlink_dump_info
		e.Timeout, e.HasTimeout = 0, false
		e.State, e.TCPFlags = 0, [2]conntrack.TCPFlags{}
	}
	return true, true
}

// idOf returns the ID of an entry by its zone and original tuple, where CTA_ID isn't known. The
// Key tells entries of one ID apart.
func idOf(e *conntrack.Event) uint32 {
	le, t := binary.LittleEndian, &e.Orig
	zones := uint64(e.Zone)<<16 | uint64(e.ReplyZone)
	ports := uint64(t.SrcPort)<<16 | uint64(t.DstPort) | uint64(t.Proto)<<32
	h := mix(le.Uint64(t.Src[:8])^zones, le.Uint64(t.Dst[:8]))
	return uint32(mix(h^le.Uint64(t.Src[8:]), le.Uint64(t.Dst[8:])^ports))
}

// mix mixes all bits of two words into one.
func mix(a, b uint64) uint64 {
	const p, q = 0x9e3779b97f4a7c15, 0xd1b54a32d192ed03 // odd numbers with bits everywhere
	high, low := bits.Mul64(a^p, b^q)
	return high ^ low
}
