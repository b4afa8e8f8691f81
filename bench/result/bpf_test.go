package result

import (
	"strings"
	"testing"
)

// bothSources returns results of conntally with both sources, in which eBPF costs half.
func bothSources() *builder {
	b := &builder{}
	b.Scenarios = []Scenario{
		{Name: PerFlow, Points: []int{1, 10}}, {Name: Table, Points: []int{10_000, 110_000}},
		{Name: Buckets, Points: []int{110_000, 10_000}}, {Name: Home, Points: []int{3000}},
	}
	for _, x := range []int{1, 10} {
		b.run(PerFlow, x, None, 0, 0, 20)
		b.run(PerFlow, x, Rival, 0, 3, 24)
		b.run(PerFlow, x, Ours, 0, 8, 28)
		b.run(PerFlow, x, OursBPF, 0, 4, 24)
	}
	for program, part := range map[string]float64{Ours: 1, OursBPF: 0.5} {
		b.run(Home, 3000, program, 0, 0.4*part, 20)
		for _, scenario := range []string{Table, Buckets} {
			b.run(scenario, 10_000, program, 0, 0.2, 0)
			b.run(scenario, 110_000, program, 0, 0.2+part, 0) // 1 µs for each more
		}
	}
	return b
}

func TestBPFVerdicts(t *testing.T) {
	cases := map[string]struct {
		change func(*builder)
		held   string // a letter for each: yes, no, or ? where it wasn't measured
		found  string // in all of them together
	}{
		"half of all": {func(*builder) {}, "yyyyy",
			"at 1 packet per flow already; 0.80 µs against 1.60 µs per end; " +
				"0.200 % of a core against 0.400 %; 500 ns against 1000 ns; 500.0 ns against 1000.0 ns"},
		"costly ends": {func(b *builder) {
			b.find(PerFlow, 1, OursBPF).Busy = share(24.1)
		}, "nnyyy", "packets per flow on; 0.82 µs"},
		"costly flows": {func(b *builder) {
			b.find(PerFlow, 10, OursBPF).Busy = share(25)
		}, "nyyyy", "no such number"},
		"costly household": {func(b *builder) { b.find(Home, 3000, OursBPF).CPU = share(0.5) },
			"yynyy", "0.500 % of a core"},
		"costly walk": {func(b *builder) {
			b.find(Table, 110_000, OursBPF).CPU = share(0.8)
			b.find(Buckets, 110_000, OursBPF).CPU = share(0.9)
		}, "yyynn", "600 ns against 1000 ns; 700.0 ns"},
		"no scenarios": {func(b *builder) { b.Scenarios = nil }, "?y???", NotMeasured},
	}
	for name, test := range cases {
		b := bothSources()
		test.change(b)
		var held, found []string
		for _, v := range b.bpfVerdicts() {
			letter := "n"
			switch {
			case v.Found == NotMeasured:
				letter = "?"
			case v.Held:
				letter = "y"
			}
			held, found = append(held, letter), append(found, v.Found)
		}
		if got := strings.Join(held, ""); got != test.held {
			t.Errorf("%s: %s, want %s: %q", name, got, test.held, found)
		}
		if got := strings.Join(found, "; "); !strings.Contains(got, test.found) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestInstructionVerdict: each number of packets per flow has to hold.
func TestInstructionVerdict(t *testing.T) {
	b := bothSources()
	b.Emulated = true
	if v := b.bpfVerdicts(); len(v) != 1 || !v[0].Held ||
		v[0].Found != "800 against 800 per flow of 1, 8000 against 8000 per flow of 10" {
		t.Errorf("%+v", v)
	}
	b.find(PerFlow, 10, OursBPF).Busy += 1e6
	if v := b.bpfVerdicts(); v[0].Held {
		t.Errorf("%+v", v)
	}
	b.find(PerFlow, 1, Rival).Error = "it broke"
	if v := b.bpfVerdicts(); v[0].Held || v[0].Found != NotMeasured {
		t.Errorf("%+v", v)
	}
}

// TestWithoutBPFNothingIsClaimedOfIt, as of a kernel that has none.
func TestWithoutBPFNothingIsClaimedOfIt(t *testing.T) {
	for _, v := range verdictSuite().Verdicts() {
		if strings.Contains(v.Claim, "eBPF") || strings.Contains(v.Claim, OursBPF) {
			t.Errorf("%+v", v)
		}
	}
}

func (b *builder) find(scenario string, x int, program string) *Run {
	for i := range b.Runs {
		if r := &b.Runs[i]; r.Scenario == scenario && r.X == x && r.Program == program {
			return r
		}
	}
	return nil
}
