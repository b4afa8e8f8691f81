package collect

import (
	"slices"
	"time"

	"github.com/conntally/conntally/bench/result"
	"github.com/conntally/conntally/bench/traffic"
)

// Compare compares what was received with what was sent from begin on. It returns
// also how many flows were sent, and the delay of those whose records were complete
// before the program was stopped; nil if there are none.
func Compare(
	datagrams []Datagram, sent *traffic.Ledger, begin, stopped time.Time,
) (result.Collected, int, *result.Delay) {
	t := NewTally(datagrams, len(sent.Flows))
	c := comparison{begin: begin, stopped: stopped}
	for i := range sent.Flows {
		if sent.Flows[i].Both().Packets > 0 {
			c.flow(&sent.Flows[i], &t.Flows[i])
		}
	}
	return result.Collected{
		Datagrams: t.Datagrams, Octets: t.Bytes, Records: t.Records, Strangers: t.Strangers,
		Faulty: t.Faulty,
		Sum:    result.Sum(t.Total), Flows: c.seen, Exact: c.exact, Merged: c.down > 0 &&
			t.Total.Packets > 0 && c.seenDown == 0,
	}, c.flows, c.delay()
}

// comparison counts flows.
type comparison struct {
	begin, stopped     time.Time
	flows, seen, exact int
	down, seenDown     uint64 // packets to the clients: sent, and collected as such
	delays             []time.Duration
}

func (c *comparison) flow(want *traffic.Account, got *Flow) {
	c.flows++
	c.down += want.Down.Packets
	c.seenDown += got.Down.Packets
	both := got.Up.Plus(got.Down)
	if both.Packets > 0 {
		c.seen++
	}
	if both != want.Both() {
		return
	}
	c.exact++
	if got.Last.Before(c.stopped) {
		c.delays = append(c.delays, max(0, got.Last.Sub(c.begin.Add(want.Last))))
	}
}

func (c *comparison) delay() *result.Delay {
	n := len(c.delays)
	if n == 0 {
		return nil
	}
	slices.Sort(c.delays)
	return &result.Delay{
		Flows: n, Median: c.delays[n/2], P95: c.delays[n*95/100], Most: c.delays[n-1],
	}
}
