package scenario

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/bench/result"
)

// TestClaimsAreMeasured: the full plan has what the claims are about, repeated, with
// all programs in bulk traffic.
func TestClaimsAreMeasured(t *testing.T) {
	p := Full()
	if p.Repeats < 3 {
		t.Errorf("%d repetitions", p.Repeats)
	}
	for name, want := range map[string][]int{
		result.Bulk:    {20_000, result.ClaimRate, 100_000, 200_000},
		result.PerFlow: {1, 2, 5, 10, 20, 50, 100},
		result.Table:   {1000, 250_000},
	} {
		s := p.find(t, name)
		for _, x := range want {
			if !slices.Contains(s.Scenario.Points, x) {
				t.Errorf("%s has no point %d", name, x)
			}
		}
		if all := s.Programs == nil; all != (name == result.Bulk) {
			t.Errorf("%s: all programs: %v", name, all)
		}
		for _, needed := range duel() {
			if s.Programs != nil && !slices.Contains(s.Programs, needed) {
				t.Errorf("%s is without %s", name, needed)
			}
		}
	}
}

func (p *Plan) find(t *testing.T, name string) Scenario {
	t.Helper()
	i := slices.IndexFunc(p.Scenarios, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no %s", name)
	}
	return p.Scenarios[i]
}

// TestWindows: what a program does at intervals is in a window once, or twice.
func TestWindows(t *testing.T) {
	const period = 10 * time.Second
	for _, plan := range []Plan{Full(), Quick(), Counting()} {
		for _, s := range plan.Scenarios {
			for _, p := range s.Points {
				window := p.WindowOf(period)
				if !p.Saturate && window%period != 0 {
					t.Errorf("%s %d: a window of %v", s.Name, p.X, window)
				}
				if p.WindowOf(0) != p.Window {
					t.Errorf("%s %d: %v without a period", s.Name, p.X, p.WindowOf(0))
				}
			}
		}
	}
}

func TestFit(t *testing.T) {
	p := Full()
	if skipped := p.Fit(262_144); len(skipped) != 0 {
		t.Errorf("left out of a common table: %q", skipped)
	}
	p = Full()
	skipped := p.Fit(65_536)
	if len(skipped) == 0 {
		t.Error("all fits into a small one")
	}
	for _, s := range p.Scenarios {
		if len(s.Points) != len(s.Scenario.Points) {
			t.Errorf("%s: %d points, %v", s.Name, len(s.Points), s.Scenario.Points)
		}
		for _, point := range s.Points {
			if point.Entries() > 65_536 {
				t.Errorf("%s %d has up to %d entries", s.Name, point.X, point.Entries())
			}
		}
	}
}

// TestPollsAreCounted: conntally doesn't put them off because a counter makes them slow.
func TestPollsAreCounted(t *testing.T) {
	p := Counting()
	for _, point := range p.find(t, result.Polls).Points {
		if !point.AllCPU {
			t.Errorf("%s %d may take little CPU", point.Scenario, point.X)
		}
	}
}

func TestKeepBuckets(t *testing.T) {
	p := Full()
	if skipped := p.KeepBuckets(errors.New("read-only")); len(skipped) != 7 ||
		len(p.find(t, result.Buckets).Points)+len(p.find(t, result.Stalls).Points) != 0 {
		t.Errorf("%q, %+v", skipped, p.find(t, result.Buckets).Points)
	}
	if len(p.find(t, result.Bulk).Points) != 4 {
		t.Error("other points went too")
	}
}

// TestSettles: where flows go on, each program has met them all before the window.
func TestSettles(t *testing.T) {
	const period = 10 * time.Second
	p := Full()
	for name, settles := range map[string]bool{
		result.Bulk: true, result.Buckets: true, result.PerFlow: false, result.Home: false,
	} {
		for _, point := range p.find(t, name).Points {
			if got := point.WarmOf(period) >= period; got != settles {
				t.Errorf("%s %d: %v of traffic before the window",
					name, point.X, point.WarmOf(period))
			}
			if point.WarmOf(0) != point.Warm {
				t.Errorf("%s %d: %v without a period", name, point.X, point.WarmOf(0))
			}
		}
	}
	for _, point := range Emulated().Scenarios[0].Points {
		if point.WarmOf(period) < period {
			t.Errorf("emulated, %d: %v of traffic before the window", point.X, point.WarmOf(period))
		}
	}
}

func TestOnly(t *testing.T) {
	p := Full()
	if err := p.Only([]string{"bulk:50000", "home"}); err != nil {
		t.Fatal(err)
	}
	if len(p.Scenarios) != 2 || len(p.Scenarios[0].Points) != 1 ||
		p.Scenarios[0].Points[0].X != 50_000 {
		t.Errorf("%+v", p.Scenarios)
	}
	for _, bad := range []string{"bulkk", "bulk:7", "bulk:", ""} {
		p := Full()
		if err := p.Only([]string{bad}); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
