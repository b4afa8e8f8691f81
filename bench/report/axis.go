package report

import (
	"math"
	"strconv"
	"strings"
)

// axis maps values to a range of pixels.
type axis struct {
	zero     bool // a logarithmic axis whose lowest value stands for 0
	log      bool
	least    float64 // what is less is drawn there
	most     float64
	from, to float64 // pixels of least and most
}

// newAxis spans values from 0 (or, where log, from the decade of the least) to a
// round number above the greatest.
func newAxis(values []float64, log bool, from, to float64) axis {
	a := axis{log: log, from: from, to: to, most: 1}
	least := math.Inf(1)
	for _, v := range values {
		if math.IsNaN(v) {
			continue
		}
		a.most = max(a.most, v)
		a.zero = a.zero || log && v <= 0
		if v > 0 {
			least = min(least, v)
		}
	}
	if !log {
		step := a.step()
		a.most = math.Ceil(a.most/step) * step
		return a
	}
	a.least = math.Pow(10, math.Floor(math.Log10(min(least, a.most/10))))
	if a.zero {
		a.least /= 10
	}
	a.most = math.Pow(10, math.Ceil(math.Log10(a.most)-1e-9))
	return a
}

// at returns the pixel of a value.
func (a axis) at(v float64) float64 {
	v = max(a.least, min(a.most, v))
	part := (v - a.least) / (a.most - a.least)
	if a.log {
		part = math.Log(v/a.least) / math.Log(a.most/a.least)
	}
	return a.from + part*(a.to-a.from)
}

// step is the distance of ticks on a linear axis: 1, 2 or 5 times a power of ten.
func (a axis) step() float64 {
	raw := a.most / 5
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if raw <= m*unit*1.0001 {
			return m * unit
		}
	}
	return 10 * unit
}

// ticks are the values with a line across.
func (a axis) ticks() (all []float64) {
	if a.log {
		for v := a.least; v <= a.most*1.0001; v *= 10 {
			all = append(all, v)
		}
		return all
	}
	step := a.step()
	for i := 0; float64(i)*step <= a.most*1.0001; i++ {
		all = append(all, float64(i)*step)
	}
	return all
}

// label writes the value of a tick.
func (a axis) label(v float64) string {
	if a.zero && v == a.least {
		return "0"
	}
	return short(v)
}

// short writes 20000 as 20k and 0.1 as 0.1.
func short(v float64) string {
	suffix := ""
	switch {
	case v >= 1e6:
		v, suffix = v/1e6, "M"
	case v >= 1e3:
		v, suffix = v/1e3, "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + suffix
}

// grouped writes 1234567 as 1,234,567.
func grouped[T ~int | ~uint64](n T) string {
	digits := strconv.FormatUint(uint64(n), 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
