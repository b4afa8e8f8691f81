package result

import "math"

// Instructions are what a program executes itself, the kernel left out.
type Instructions struct {
	Packet     float64 // of flows that go on
	Flow       float64 // of one packet, from its begin to its record
	Connection float64 // that rests, each time that it is read
}

// InstructionsOf takes the difference between two loads, so that what a program does
// anyway drops out. It is NaN where nothing was counted.
func (s *Suite) InstructionsOf(program string) Instructions {
	return Instructions{
		Packet: s.slope(Bulk, program, func(r *Run) float64 { return float64(r.Sent.Packets) }),
		Flow:   s.slope(NewFlows, program, func(r *Run) float64 { return float64(r.Flows) }),
		Connection: s.slope(Polls, program,
			func(r *Run) float64 { return float64(r.X * PolledEntries) }),
	}
}

func (s *Suite) slope(scenario, program string, units func(*Run) float64) float64 {
	xs := s.Points(scenario)
	if len(xs) < 2 {
		return math.NaN()
	}
	value := func(x int, of func(*Run) float64) float64 {
		return s.Of(scenario, x, program,
			of).Median
	}
	few, many := xs[0], xs[len(xs)-1]
	count := func(r *Run) float64 {
		if r.Instructions == 0 {
			return math.NaN()
		}
		return float64(r.Instructions)
	}
	return (value(many, count) - value(few, count)) / (value(many, units) - value(few, units))
}
