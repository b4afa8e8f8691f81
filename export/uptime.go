package export

import "time"

// NetFlow v9 counts time in ms since the exporter's boot, in 32 bits. The Encoder chooses this
// boot time: early enough for the oldest record, and late enough that no uptime wraps. It may
// move between two messages, since a collector computes it from each header.
const (
	bootMargin = int64(24 * time.Hour / time.Millisecond)
	bootLeast  = bootMargin / 2
	bootMost   = int64(1 << 31)
)

// bootFits reports whether the virtual boot time suits records that are exported now: the uptime
// is neither too short for the oldest (after the clock was set back) nor too large.
func (e *Encoder) bootFits(now int64) bool {
	up := millis(now) - e.boot
	return bootLeast <= up && up <= bootMost
}

// exportTime returns the time for the header of a message: now, unless the clock was set so that
// a time in the message is later, or the uptime would wrap.
func (e *Encoder) exportTime(now int64) int64 {
	if now < e.newest || !e.bootFits(now) {
		return e.newest
	}
	return now
}
