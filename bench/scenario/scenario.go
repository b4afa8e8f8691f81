// Package scenario says what is measured: which traffic, for how long.
package scenario

import (
	"time"

	"github.com/conntally/conntally/bench/result"
)

// Point is one kind of traffic.
type Point struct {
	Scenario string
	X        int // what varies

	Rate, Ring, PerFlow int  // of traffic.Steady
	Home                bool // traffic.Home instead
	Saturate            bool // as much as the cores can, on all of them
	Table               int  // connections that rest beside

	Buckets int  // of the kernel's hash table; 0 = as they are
	AllCPU  bool // polls may take what they need
	Stalls  bool // the program has one core, whose stalls are measured

	Warm   time.Duration // of traffic before the window
	Settle bool          // and one of the program's intervals: it has met all flows by then
	Window time.Duration // in which is measured
	Linger time.Duration // after the traffic, for records to come by themselves
}

// Scenario is a row of points.
type Scenario struct {
	result.Scenario
	Points   []Point
	Programs []string // nil = all
	More     int      // repetitions besides the plan's, where noise hides much
}

// Entries is how many conntrack entries there may be at a time: none is sure to be
// gone before the end.
func (p *Point) Entries() int {
	flows := p.Ring
	if p.PerFlow > 0 {
		flows = int(float64(p.Rate) / float64(p.PerFlow) * (p.Warm +
			p.WindowOf(pollPeriod)).Seconds())
	}
	return p.Table + flows
}

// pollPeriod is that of conntally, the longest that a program has.
const pollPeriod = 10 * time.Second

// WarmOf is how long the traffic goes on before the window, for a program that does
// something at intervals.
func (p *Point) WarmOf(period time.Duration) time.Duration {
	if p.Settle {
		return p.Warm + period
	}
	return p.Warm
}

// WindowOf is the point's window, longer where a program does something at intervals:
// each has to be in the window as often as in the long run.
func (p *Point) WindowOf(period time.Duration) time.Duration {
	if p.Saturate || period <= p.Window {
		return p.Window
	}
	return period
}

// LingerOf is how long records may come by themselves: after one more of the
// program's intervals, where it matters at all.
func (p *Point) LingerOf(period time.Duration) time.Duration {
	if p.Linger == 0 {
		return 0
	}
	return p.Linger + period
}
