package export

import "time"

// NetFlow v9 counts time in ms since the exporter's boot, in 32 bits. We have no
// boot to tell of, only an origin to choose: early enough for the oldest record
// and late enough that nothing ever wraps. It moves when it must; a collector
// computes it again from each header.
const (
	bootMargin = int64(24 * time.Hour / time.Millisecond)
	bootLeast  = bootMargin / 2
	bootMost   = int64(1 << 31)
)

// bootFits reports whether the virtual boot time suits records that come now: the
// uptime is neither too short for the oldest (a clock set back) nor large.
func (e *Encoder) bootFits(now int64) bool {
	up := millis(now) - e.boot
	return bootLeast <= up && up <= bootMost
}

// exportTime is the time for the header of a message: now, but no earlier than any
// time in it, and not so late that the uptime wraps. Only a clock that has been set
// meanwhile makes a difference.
func (e *Encoder) exportTime(now int64) int64 {
	if now < e.newest || !e.bootFits(now) {
		return e.newest
	}
	return now
}
