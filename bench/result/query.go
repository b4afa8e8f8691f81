package result

import (
	"math"
	"time"
)

// Of returns the spread of a value over the repetitions at a point. Runs that failed
// have none.
func (s *Suite) Of(scenario string, x int, program string, value func(*Run) float64) Spread {
	var values []float64
	for i := range s.Runs {
		r := &s.Runs[i]
		if r.Scenario == scenario && r.X == x && r.Program == program && r.Error == "" {
			if v := value(r); !math.IsNaN(v) {
				values = append(values, v)
			}
		}
	}
	return NewSpread(values)
}

// Extra returns the spread of what the whole machine works more with a program than
// without one, in percent of one core.
func (s *Suite) Extra(scenario string, x int, program string) Spread {
	return s.Difference(scenario, x, program, None)
}

// Difference returns the spread of what the whole machine works more with a program than
// with another, in percent of one core.
func (s *Suite) Difference(scenario string, x int, program, other string) Spread {
	return s.against(scenario, x, program, other,
		func(r, o *Run) float64 { return BusyPercent(r) - BusyPercent(o) })
}

// Share returns the spread of the rate with a program in percent of that without one.
func (s *Suite) Share(scenario string, x int, program string) Spread {
	return s.against(scenario, x, program, None,
		func(r, o *Run) float64 { return percent(Rate(r), Rate(o)) })
}

// against compares two programs repetition by repetition, without the noise between
// these.
func (s *Suite) against(
	scenario string, x int, program, other string, value func(r, o *Run) float64,
) Spread {
	return s.Of(scenario, x, program, func(r *Run) float64 {
		o := s.run(scenario, x, other, r.Repeat)
		if o == nil {
			return math.NaN()
		}
		return value(r, o)
	})
}

func (s *Suite) run(scenario string, x int, program string, repeat int) *Run {
	for i := range s.Runs {
		r := &s.Runs[i]
		if r.Scenario == scenario && r.X == x && r.Program == program && r.Repeat == repeat &&
			r.Error == "" {
			return r
		}
	}
	return nil
}

// Noise is how much two repetitions of the router without a program differ at most,
// in percent of one core. A smaller difference can't be measured.
func (s *Suite) Noise(scenario string, x int) float64 {
	n := s.Of(scenario, x, None, BusyPercent)
	return n.Most - n.Least
}

// CPUPercent is the program's own, of one core.
func CPUPercent(r *Run) float64 { return percent(r.CPU.Seconds(), r.Window.Seconds()) }

// BusyPercent is the whole machine's, of one core.
func BusyPercent(r *Run) float64 { return percent(r.Busy.Seconds(), r.Window.Seconds()) }

// StolenPercent is what other virtual machines took, of one core.
func StolenPercent(r *Run) float64 { return percent(r.Stolen.Seconds(), r.Window.Seconds()) }

// Rate is packets forwarded per second.
func Rate(r *Run) float64 { return float64(r.Forwarded.Packets) / r.Window.Seconds() }

// PacketsFound and BytesFound are the shares of the forwarded traffic in the collector's records,
// in percent.
func PacketsFound(r *Run) float64 {
	return percent(float64(r.Collected.Sum.Packets), float64(r.Router.Packets))
}

// BytesFound see PacketsFound.
func BytesFound(r *Run) float64 {
	return percent(float64(r.Collected.Sum.Bytes), float64(r.Router.Bytes))
}

// FlowsExact is the share of flows whose packets and bytes are right, in percent.
func FlowsExact(r *Run) float64 { return percent(float64(r.Collected.Exact), float64(r.Flows)) }

// Peak is the greatest memory, in MB.
func Peak(r *Run) float64 { return float64(r.Peak) / 1e6 }

// Stall is the longest stall in ms; NaN where it wasn't measured.
func Stall(r *Run) float64 {
	if r.Stall == 0 {
		return math.NaN()
	}
	return float64(r.Stall) / 1e6
}

// Exported is the UDP payload that was sent, in kB.
func Exported(r *Run) float64 { return float64(r.Collected.Octets) / 1e3 }

// DelayMedian is in seconds; NaN if no record came before the program was stopped.
func DelayMedian(r *Run) float64 {
	return r.delay(func(d *Delay) time.Duration {
		return d.Median
	})
}

// DelayP95 see DelayMedian.
func DelayP95(r *Run) float64 { return r.delay(func(d *Delay) time.Duration { return d.P95 }) }

// DelayMost see DelayMedian.
func DelayMost(r *Run) float64 { return r.delay(func(d *Delay) time.Duration { return d.Most }) }

func (r *Run) delay(of func(*Delay) time.Duration) float64 {
	if r.Delay == nil {
		return math.NaN()
	}
	return of(r.Delay).Seconds()
}

// percent is NaN where there is no whole.
func percent(part, whole float64) float64 {
	if whole == 0 {
		return math.NaN()
	}
	return 100 * part / whole
}
