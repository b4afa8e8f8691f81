package report

import (
	"math"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Estimate is what a month will have moved at its end: what has moved until the latest flush,
// and as much per second for the rest of it. A month that the database knows only from some
// day on is taken as if it had moved nothing before.
type Estimate struct {
	UpBytes   uint64    `json:"up_bytes"`
	DownBytes uint64    `json:"down_bytes"`
	Since     time.Time `json:"since"` // what the rate is taken from: the month's begin or later
	Until     time.Time `json:"until"`
}

// leastKnown is how much of a month must be known for an estimate.
const leastKnown = 6 * time.Hour

// EstimateMonth returns the estimate of a month of which c has moved until the latest flush; nil if
// it is not the running one, or too little is known.
func EstimateMonth(c usage.Counters, from, to time.Time, e store.Extent, now time.Time) *Estimate {
	if e.First.IsZero() {
		return nil
	}
	since, until := from, e.Flushed
	if e.First.After(since) {
		since = e.First
	}
	if now.Before(from) || !now.Before(to) || until.Sub(since) < leastKnown || !until.Before(to) {
		return nil
	}
	factor := 1 + to.Sub(until).Seconds()/until.Sub(since).Seconds()
	return &Estimate{
		UpBytes: scale(c.UpBytes, factor), DownBytes: scale(c.DownBytes, factor),
		Since: since.In(from.Location()), Until: until.In(from.Location()),
	}
}

// scale multiplies by a factor above 1, and rounds.
func scale(n uint64, factor float64) uint64 {
	v := math.Round(float64(n) * factor)
	if v >= math.MaxUint64 {
		return math.MaxUint64
	}
	return uint64(v)
}
