package result

import (
	"math"
	"slices"
)

// Spread is a median with the least and the greatest value.
type Spread struct {
	Median, Least, Most float64
	N                   int
}

// NewSpread sums up values, in any order. Of no value all is NaN.
func NewSpread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN(), 0}
	}
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1], n}
}

// Valid reports whether there was a value.
func (s Spread) Valid() bool { return s.N > 0 }
