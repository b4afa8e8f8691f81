package result

import "math"

// BreakEven returns the x from which on a is nowhere above b, between two points by
// the straight line on a logarithmic axis. Both have a value for each of xs, which
// grow. It is xs[0] where a is never above b ("or less"), and NaN where it is at
// the end.
func BreakEven(xs []int, a, b []float64) float64 {
	last := len(xs) - 1
	if last < 0 || math.IsNaN(a[last]-b[last]) || a[last] > b[last] {
		return math.NaN()
	}
	for i := last - 1; i >= 0; i-- {
		if above := a[i] - b[i]; above > 0 {
			below := b[i+1] - a[i+1]
			part := above / (above + below)
			return math.Exp(math.Log(float64(xs[i])) +
				part*math.Log(float64(xs[i+1])/float64(xs[i])))
		}
	}
	return float64(xs[0])
}
