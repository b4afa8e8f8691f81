package export

import "time"

// NetFlow v9 counts time in ms since the exporter's boot, in 32 bits. We have no
// boot to tell of, only an origin to choose: early enough for the oldest record
// and late enough that nothing ever wraps. It moves when it must; a collector
// computes it anew from each header.
const (
	bootMargin = int64(24 * time.Hour / time.Millisecond)
	bootMost   = int64(1 << 31)
)

// settleBoot moves the virtual boot time where the uptime would become negative
// (a clock set back) or large.
func (e *Encoder) settleBoot(now int64) {
	if up := millis(now) - e.boot; up < 0 || up > bootMost {
		e.boot = millis(now) - bootMargin
	}
}
