package scenario

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/conntally/conntally/bench/result"
)

const (
	second = time.Second
	milli  = time.Millisecond

	bulkFlows = 2000
	mixRate   = 20_000 // packets per second where their number per flow varies
	mixRing   = 200
	mixWindow = 5 * second

	emulatedRate = 4000         // packets per second, for a slow machine without noise
	pollRoom     = 2500 * milli // before the window, so that a poll that begins in it also ends there
)

// Plan is a whole measurement.
type Plan struct {
	Scenarios []Scenario
	Repeats   int
}

// Full takes some 55 minutes.
func Full() Plan {
	return Plan{Repeats: 3, Scenarios: []Scenario{
		bulk(20_000, 50_000, 100_000, 200_000),
		perFlow(1, 2, 5, 10, 20, 50, 100),
		newFlows(1000, 5000),
		table(1000, 100_000, 250_000),
		buckets(262_144, 65_536, 8192),
		home(),
		stalls(0, 100, 2000, 20_000),
		saturation(),
	}}
}

// Quick takes less than three minutes.
func Quick() Plan {
	b, p := bulk(50_000, 200_000), perFlow(1, 5, 50)
	b.Programs = duel()
	p.More = 0
	return Plan{Repeats: 1, Scenarios: []Scenario{b, p}}
}

// Counting is for counts of instructions: two points each, whose difference is what
// one more packet, flow or poll takes. Programs are slow under a counter, so that there
// is little traffic. It takes three minutes.
func Counting() Plan {
	b, f, p := bulk(1000, 5000), newFlows(200, 1000), polls(1, 3)
	for _, s := range []*Scenario{&b, &f, &p} {
		s.Programs, s.More = []string{result.Rival, result.Ours}, 0
		for i := range s.Points {
			point := &s.Points[i]
			point.Ring = min(point.Ring, mixRing)
			point.Window = max(point.Window, pollPeriod)
		}
	}
	return Plan{Repeats: 1, Scenarios: []Scenario{b, f, p}}
}

// Emulated is for a machine that counts instructions as time: what the whole of it executes for
// flows of so many packets. There is no noise, and an emulated processor is slow. What a program does
// once, after its start, is over before the window, which is short.
func Emulated() Plan {
	p := perFlow(1, 2, 5, 10)
	p.More = 0
	p.About = fmt.Sprintf("%d packets/s that belong to ever new UDP flows of so many packets",
		emulatedRate)
	for i := range p.Points {
		p.Points[i].Rate, p.Points[i].Settle = emulatedRate, true
	}
	return Plan{Repeats: 1, Scenarios: []Scenario{p}}
}

// polls lasts for so many of them. Under a counter they would take more than conntally
// allows itself.
func polls(numbers ...int) Scenario {
	s := Scenario{Scenario: describe(result.Polls, "Polls", "polls",
		fmt.Sprintf("%d connections that rest, read so often", result.PolledEntries))}
	return s.fill(numbers, func(x int) Point {
		return Point{
			Rate: 10, Ring: 1, Table: result.PolledEntries, AllCPU: true, Warm: 500 * milli,
			Window: time.Duration(x) * pollPeriod,
		}
	})
}

// duel is a scenario's programs where not all take part.
func duel() []string { return []string{result.None, result.Rival, result.Ours, result.OursBPF} }

func describe(name, title, unit, about string) result.Scenario {
	return result.Scenario{Name: name, Title: title, Unit: unit, About: about}
}

// fill makes a scenario's points.
func (s Scenario) fill(xs []int, point func(x int) Point) Scenario {
	for _, x := range xs {
		p := point(x)
		p.Scenario, p.X = s.Name, x
		s.Points = append(s.Points, p)
		s.Scenario.Points = append(s.Scenario.Points, x)
	}
	return s
}

func bulk(rates ...int) Scenario {
	s := Scenario{Scenario: describe(result.Bulk, "Bulk traffic", "packets/s",
		fmt.Sprintf("%d UDP flows that go on, in both directions", bulkFlows))}
	return s.fill(rates, func(x int) Point {
		return Point{Rate: x, Ring: bulkFlows, Warm: 500 * milli, Settle: true, Window: 3 * second}
	})
}

// buckets ends with the smallest: the run after it has the machine's own again.
func buckets(numbers ...int) Scenario {
	s := Scenario{Programs: duel(),
		Scenario: describe(result.Buckets, "Size of the hash table", "buckets",
			fmt.Sprintf("the bulk traffic of %d packets/s, and the kernel's hash table "+
				"(nf_conntrack_buckets) as large as "+
				"the kernel makes it for more than 4 GB of memory, for 1 to 4 GB, and for 1 GB. A "+
				"poll looks at each bucket", result.ClaimRate))}
	return s.fill(numbers, func(x int) Point {
		return Point{
			Rate: result.ClaimRate, Ring: bulkFlows, Buckets: x, Warm: 500 * milli, Settle: true,
			Window: 3 * second,
		}
	})
}

func perFlow(numbers ...int) Scenario {
	s := Scenario{Programs: duel(), More: 2,
		Scenario: describe(result.PerFlow, "Packets per flow", "packets/flow",
			fmt.Sprintf("%d packets/s that belong to ever new UDP flows of so many packets",
				mixRate))}
	return s.fill(numbers, func(x int) Point {
		return everNew(mixRate, x)
	})
}

// everNew has flows of so many packets follow each other.
func everNew(rate, perFlow int) Point {
	return Point{Rate: rate, Ring: mixRing, PerFlow: perFlow, Warm: pollRoom, Window: mixWindow}
}

func newFlows(rates ...int) Scenario {
	s := Scenario{Programs: duel(), Scenario: describe(result.NewFlows, "New flows", "flows/s",
		fmt.Sprintf("so many UDP flows of one packet per second; %d of them are the first point "+
			"of packets per flow", mixRate))}
	return s.fill(rates, func(x int) Point {
		return everNew(x, 1)
	})
}

func table(sizes ...int) Scenario {
	s := Scenario{Programs: duel(),
		Scenario: describe(result.Table, "Connections that rest", "connections",
			"so many in the table, none of which moves, beside 100 flows of 1000 packets/s in "+
				"all. conntally may take all the CPU that it wants here (max_cpu is 100 %), else "+
				"it would poll less often")}
	return s.fill(sizes, func(x int) Point {
		return Point{
			Rate: 1000, Ring: 100, Table: x, AllCPU: true, Warm: 500 * milli, Window: 3 * second,
		}
	})
}

func home() Scenario {
	s := Scenario{Programs: duel(),
		Scenario: describe(result.Home, "A busy household", "connections at rest",
			"names, pages, videos, devices that say hello, a few downloads, over UDP and TCP, "+
				"beside 3000 connections that rest")}
	return s.fill([]int{3000}, func(x int) Point {
		return Point{
			Home: true, Table: x, Warm: 1500 * milli, Window: 10 * second, Linger: 3 * second,
		}
	})
}

// stalls has one poll in each window.
func stalls(sizes ...int) Scenario {
	s := Scenario{Programs: []string{result.None, result.Ours, result.OursBPF},
		Scenario: describe(result.Stalls, "Stalls", "connections that rest",
			fmt.Sprintf("how long a thread of the highest priority (SCHED_FIFO), which sleeps "+
				"for 0.2 ms at a time, has to wait for its core at most, when conntally polls on "+
				"that core. The kernel's hash table has %d buckets, and beside the connections "+
				"that rest one counts ten packets a second", result.StallBuckets))}
	return s.fill(sizes, func(x int) Point {
		return Point{
			Rate: 10, Ring: 1, Table: x, Buckets: result.StallBuckets, Stalls: true,
			Warm: 500 * milli, Window: pollPeriod,
		}
	})
}

func saturation() Scenario {
	s := Scenario{Scenario: describe(result.Saturation, "As much as goes", "flows",
		"as many packets as all cores together can make and forward")}
	return s.fill([]int{bulkFlows}, func(x int) Point {
		return Point{Ring: x, Saturate: true, Warm: 500 * milli, Window: 2 * second}
	})
}

// Fit leaves out points that the machine's nf_conntrack_max has no room for, and says
// which. Near the limit the kernel drops connections early (nf_conntrack_max95).
func (p *Plan) Fit(most int) (skipped []string) {
	for i := range p.Scenarios {
		p.Scenarios[i].keep(func(point *Point) bool {
			n := point.Entries()
			fits := n <= most-most/25
			if !fits {
				skipped = append(skipped,
					fmt.Sprintf("%s %d: up to %d connections, and nf_conntrack_max is %d",
						point.Scenario, point.X, n, most))
			}
			return fits
		})
	}
	return skipped
}

// KeepBuckets leaves out points for which the kernel's hash table is to be resized,
// because of why it can't be.
func (p *Plan) KeepBuckets(why error) (skipped []string) {
	for i := range p.Scenarios {
		p.Scenarios[i].keep(func(point *Point) bool {
			if point.Buckets > 0 {
				skipped = append(skipped, fmt.Sprintf("%s %d: %v", point.Scenario, point.X, why))
			}
			return point.Buckets == 0
		})
	}
	return skipped
}

// Only leaves of the plan the scenarios named, or single points as in bulk:50000.
func (p *Plan) Only(names []string) error {
	var chosen []Scenario
	for _, name := range names {
		name, x, single := strings.Cut(name, ":")
		i := slices.IndexFunc(p.Scenarios, func(s Scenario) bool { return s.Name == name })
		if i < 0 {
			return fmt.Errorf("there is no scenario %q", name)
		}
		s := p.Scenarios[i]
		if single {
			if s.keep(func(p *Point) bool { return fmt.Sprint(p.X) == x }); len(s.Points) == 0 {
				return fmt.Errorf("scenario %q has no point %q", name, x)
			}
		}
		chosen = append(chosen, s)
	}
	p.Scenarios = chosen
	return nil
}

// keep leaves the points for which fn returns true.
func (s *Scenario) keep(fn func(*Point) bool) {
	points := s.Points
	s.Points, s.Scenario.Points = nil, nil
	for _, p := range points {
		if fn(&p) {
			s.Points = append(s.Points, p)
			s.Scenario.Points = append(s.Scenario.Points, p.X)
		}
	}
}
