package collect

import "time"

// rate measures what a device moves at present.
type rate struct {
	minute        int64 // since 1970, that current is of
	current, past [2]uint64
}

// count counts bytes that were reported at a time.
func (r *rate) count(at time.Time, up bool, bytes uint64) {
	r.advance(at)
	i := 1
	if up {
		i = 0
	}
	r.current[i] += bytes
}

func (r *rate) advance(at time.Time) {
	minute := at.Unix() / 60
	switch {
	case minute <= r.minute:
		return
	case minute == r.minute+1:
		r.past = r.current
	default:
		r.past = [2]uint64{}
	}
	r.minute, r.current = minute, [2]uint64{}
}

// add adds what another device has moved, which turned out to be the same.
func (r *rate) add(other *rate) {
	if other.minute == r.minute {
		for i := range r.current {
			r.current[i] += other.current[i]
			r.past[i] += other.past[i]
		}
	}
}

// at returns the average of the last minute: a part of it is in the minute before.
func (r *rate) at(now time.Time) Rate {
	r.advance(now)
	before := 1 - float64(now.Sub(time.Unix(60*r.minute, 0)))/float64(time.Minute)
	before = min(max(before, 0), 1)
	bits := func(i int) float64 {
		return (float64(r.current[i]) + before*float64(r.past[i])) * 8 / 60
	}
	return Rate{Up: bits(0), Down: bits(1)}
}
