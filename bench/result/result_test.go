package result

import (
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestNewSpread(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{5}, Spread{5, 5, 5, 1}},
		{[]float64{9, 1, 2}, Spread{2, 1, 9, 3}},
		{[]float64{4, 1, 2, 9}, Spread{3, 1, 9, 4}},
	} {
		given := append([]float64(nil), test.values...)
		if got := NewSpread(given); got != test.want {
			t.Errorf("%v: %+v, want %+v", test.values, got, test.want)
		}
		if !reflect.DeepEqual(given, test.values) {
			t.Errorf("%v became %v", test.values, given)
		}
	}
	if s := NewSpread(nil); s.Valid() || !math.IsNaN(s.Median) {
		t.Errorf("of nothing: %+v", s)
	}
}

func TestBreakEven(t *testing.T) {
	xs, nan := []int{1, 10, 100}, math.NaN()
	for name, test := range map[string]struct{ a, b, want []float64 }{
		"never above": {[]float64{1, 1, 1}, []float64{2, 1, 3}, []float64{1}},
		"half way":    {[]float64{2, 1, 1}, []float64{1, 2, 3}, []float64{math.Sqrt(10)}},
		"at a point":  {[]float64{2, 2, 1}, []float64{1, 2, 3}, []float64{10}},
		"above again later": {
			[]float64{1, 3, 1}, []float64{2, 2, 2}, []float64{10 * math.Sqrt(10)},
		},
		"above at the end":   {[]float64{1, 1, 4}, []float64{2, 2, 2}, []float64{nan}},
		"nothing at the end": {[]float64{1, 1, nan}, []float64{2, 2, 2}, []float64{nan}},
	} {
		got, want := BreakEven(xs, test.a, test.b), test.want[0]
		if math.IsNaN(want) != math.IsNaN(got) || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if got := BreakEven(nil, nil, nil); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

// builder makes suites.
type builder struct{ Suite }

func (b *builder) run(scenario string, x int, program string, repeat int, cpu, busy float64) *Run {
	b.Runs = append(b.Runs, Run{
		Scenario: scenario, X: x, Program: program, Repeat: repeat, Window: 10 * time.Second,
		CPU: share(cpu), Busy: share(busy), Forwarded: Sum{Packets: 500_000},
		Router: Sum{1000, 10_000}, Collected: Collected{Sum: Sum{1000, 10_000}},
	})
	return &b.Runs[len(b.Runs)-1]
}

// share is a share of 10 s.
func share(percent float64) time.Duration {
	return time.Duration(percent / 100 * float64(10*time.Second))
}

// TestExtra: each repetition is held against its own without a program.
func TestExtra(t *testing.T) {
	var b builder
	for i, drift := range []float64{0, 10, 20} {
		b.run(Bulk, 1, None, i, 0, 30+drift)
		b.run(Bulk, 1, Ours, i, 1, 32+drift)
	}
	b.run(Bulk, 1, Ours, 9, 1, 99) // nothing to be held against
	if got := b.Extra(Bulk, 1, Ours); math.Abs(got.Median-2) > 1e-6 || got.N != 3 {
		t.Errorf("%+v", got)
	}
	if got := b.Noise(Bulk, 1); math.Abs(got-20) > 1e-6 {
		t.Errorf("noise %v", got)
	}
	b.run(Bulk, 1, Rival, 1, 1, 45)
	if got := b.Difference(Bulk, 1, Ours, Rival); got.N != 1 || math.Abs(got.Median+3) > 1e-6 {
		t.Errorf("beside another: %+v", got)
	}
	b.Runs[1].Error = "it broke"
	if got := b.Extra(Bulk, 1, Ours); got.N != 2 {
		t.Errorf("with a failed run: %+v", got)
	}
}

func verdictSuite() *builder {
	b := &builder{}
	b.Scenarios = []Scenario{
		{Name: PerFlow, Points: []int{1, 10}}, {Name: Table, Points: []int{10_000, 110_000}},
	}
	for i := range 3 {
		b.run(Bulk, ClaimRate, None, i, 0, 20+0.1*float64(i))
		b.run(Bulk, ClaimRate, Rival, i, 10, 30)
		b.run(Bulk, ClaimRate, Ours, i, 0.1, 20.4)
		for _, x := range []int{1, 10} {
			b.run(PerFlow, x, None, i, 0, 20)
			b.run(PerFlow, x, Rival, i, 3, 24)
		}
		b.run(PerFlow, 1, Ours, i, 8, 28)
		b.run(PerFlow, 10, Ours, i, 1, 21)
	}
	return b
}

type verdictCase struct {
	change func(*builder)
	held   [4]bool
	found  [4]string // a part of it
}

func verdictCases() map[string]verdictCase {
	return map[string]verdictCase{
		"as it is": {func(*builder) {}, [4]bool{true, true, false, true},
			[4]string{"1/100", "1/33", "from 3.7 packets", "9 of 9"}},
		"an expensive process": {func(b *builder) {
			b.each(Bulk, Ours, func(r *Run) { r.CPU *= 3 })
		}, [4]bool{false, true, false, true}, [4]string{"1/33", "", "", ""}},
		"with few buckets": {func(b *builder) {
			b.Scenarios = append(b.Scenarios, Scenario{Name: Buckets, Points: []int{4096, 8192}})
			b.run(Buckets, 8192, Rival, 0, 10, 30)
			b.run(Buckets, 8192, Ours, 0, 0.05, 20)
		}, [4]bool{true, true, false, true},
			[4]string{"1/100; with 8192 buckets 1/200", "", "", "10 of 10"}},
		"within noise": {func(b *builder) {
			b.each(Bulk, Ours, func(r *Run) { r.Busy = share(20.15) })
		}, [4]bool{true, true, false, true},
			[4]string{"", "within that, so that one can only say 1/50", "", ""}},
		"hidden by noise": {func(b *builder) {
			b.each(Bulk, None, func(r *Run) { r.Busy = share(20 + 2*float64(r.Repeat)) })
		}, [4]bool{true, false, false, true}, [4]string{"", "it is not measurable", "", ""}},
		"torn": {func(b *builder) {
			b.each(PerFlow, Ours, func(r *Run) { r.Busy = share(23.5 + float64(r.Repeat%2)) })
		}, [4]bool{true, true, true, true},
			[4]string{"", "", "already; of 1, 10 packets per flow some", ""}},
		"twice as much": {func(b *builder) {
			b.each(Bulk, Ours, func(r *Run) { r.Busy = share(20.8) })
		}, [4]bool{true, false, false, true}, [4]string{"", "1/14", "", ""}},
		"once": {func(b *builder) { b.Runs = b.Runs[:3] }, [4]bool{true, true, false, true},
			[4]string{"", "once", "", "1 of 1"}},
		"one byte": {func(b *builder) { b.Runs[2].Collected.Sum.Bytes-- },
			[4]bool{true, true, false, false}, [4]string{"", "", "", "+0 packets, -1 bytes"}},
		"others' bytes": {func(b *builder) { b.Runs[1].Collected.Sum.Bytes-- },
			[4]bool{true, true, false, true}, [4]string{}},
		"an early break-even": {func(b *builder) {
			b.each(PerFlow, Ours, func(r *Run) { r.Busy = share(21) })
		}, [4]bool{true, true, true, true},
			[4]string{"", "", "at 1 packets per flow already", ""}},
		"none": {func(b *builder) { b.each(PerFlow, Ours, func(r *Run) { r.Busy = share(70) }) },
			[4]bool{true, true, false, true}, [4]string{"", "", "no such number", ""}},
		"few packets per flow alone": {func(b *builder) { b.Scenarios[0].Points = []int{1} },
			[4]bool{true, true, false, true}, [4]string{"", "", NotMeasured, ""}},
		"many alone": {func(b *builder) { b.Scenarios[0].Points = []int{10} },
			[4]bool{true, true, false, true}, [4]string{"", "", NotMeasured, ""}},
		"failed between": {func(b *builder) { b.Scenarios[0].Points = []int{1, 5, 10} },
			[4]bool{true, true, false, true}, [4]string{"", "", "from 3.7 packets", ""}},
		"one failed": {func(b *builder) { b.Runs[2].Error = "it broke" },
			[4]bool{true, true, false, false},
			[4]string{"", "", "", "in 8 of 9 runs; not in bulk 50000: failed"}},
		"nothing": {func(b *builder) { b.Suite = Suite{} }, [4]bool{},
			[4]string{NotMeasured, NotMeasured, NotMeasured, NotMeasured}},
	}
}

func TestVerdicts(t *testing.T) {
	for name, test := range verdictCases() {
		b := verdictSuite()
		test.change(b)
		for i, v := range b.Verdicts() {
			if v.Hidden != strings.Contains(v.Found, "not measurable") || v.Held != test.held[i] ||
				!strings.Contains(v.Found, test.found[i]) {
				t.Errorf("%s: %+v, want %v, %q", name, v, test.held[i], test.found[i])
			}
		}
	}
}

// TestStallVerdict proves that the longest stall of all repetitions decides, unless the machine
// has such stalls of its own.
func TestStallVerdict(t *testing.T) {
	for name, test := range map[string]struct {
		none, ours   [2]float64 // ms, by repetition; 0: not measured
		held, hidden bool
		found        string
	}{
		"short":          {[2]float64{0.5, 0.7}, [2]float64{0.9, 1.9}, true, false, "1.90 ms, median"},
		"long once":      {[2]float64{0.5, 0.7}, [2]float64{0.9, 2.1}, false, false, "2.10 ms"},
		"noise":          {[2]float64{0.5, 2.5}, [2]float64{0.9, 2.1}, false, true, "itself stalls"},
		"only noise":     {[2]float64{0.5, 2.5}, [2]float64{0.9, 1.1}, true, false, "program 2.50"},
		"not measured":   {[2]float64{}, [2]float64{}, false, false, NotMeasured},
		"ours is absent": {[2]float64{0.5, 0.7}, [2]float64{}, false, false, NotMeasured},
	} {
		b := new(builder)
		b.Scenarios = []Scenario{{Name: Stalls, Points: []int{100}}}
		for repeat := range 2 {
			for program, stalls := range map[string][2]float64{None: test.none, Ours: test.ours} {
				b.Runs = append(b.Runs, Run{Scenario: Stalls, X: 100, Program: program,
					Repeat: repeat + 1, Stall: time.Duration(stalls[repeat] * 1e6)})
			}
		}
		all := b.Verdicts()
		v := all[len(all)-1]
		if v.Held != test.held || v.Hidden != test.hidden ||
			!strings.Contains(v.Found, test.found) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func (b *builder) each(scenario, program string, change func(*Run)) {
	for i := range b.Runs {
		if r := &b.Runs[i]; r.Scenario == scenario && r.Program == program {
			change(r)
		}
	}
}

// TestLingering: what each flow's dumps cost comes on top, bounded.
func TestLingering(t *testing.T) {
	b := verdictSuite()
	b.each(PerFlow, Ours, func(r *Run) { r.Busy = share(23) }) // 3 % beside 4 %
	if got := b.SystemBreakEven(); got != 1 {
		t.Fatalf("break-even %v", got)
	}
	b.run(Table, 10_000, Ours, 0, 0.2, 0)
	b.run(Table, 110_000, Ours, 0, 2.2, 0) // 2 µs for each more
	if cost := b.DumpCost(); math.Abs(cost-2e-6) > 1e-12 {
		t.Fatalf("a dump costs %v s", cost)
	}
	// 50,000 flows/s at 1 packet each, 5000 at 10: 3 polls of them take 30 % and 3 %.
	if got := b.LingeringBreakEven(3, 100); !math.IsNaN(got) {
		t.Errorf("unbounded: %v", got)
	}
	if got := b.LingeringBreakEven(1, 100); math.Abs(got-10) > 0.01 {
		t.Errorf("one poll: %v", got)
	}
	if got := b.LingeringBreakEven(3, 1); got != 1 {
		t.Errorf("bounded: %v", got)
	}
}

func TestSaveAndLoad(t *testing.T) {
	b := verdictSuite()
	b.Runs[0].Missed, b.Runs[0].Delay = &Missed{3, "packets"}, &Delay{Flows: 1, Median: 5}
	path := filepath.Join(t.TempDir(), "x.json")
	if err := b.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !reflect.DeepEqual(*got, b.Suite) {
		t.Errorf("%v:\n%+v\n%+v", err, got, b.Suite)
	}
}

// TestInstructions: what a program does anyway drops out.
func TestInstructions(t *testing.T) {
	var b builder
	b.Scenarios = []Scenario{
		{Name: Bulk, Points: []int{1, 2}}, {Name: NewFlows, Points: []int{1, 2}}, {Name: Polls,
			Points: []int{1, 3}},
	}
	const anyway = 1_000_000
	for _, x := range []int{1, 2} {
		r := b.run(Bulk, x, Rival, 0, 1, 1)
		r.Sent.Packets, r.Instructions = uint64(1000*x), anyway+uint64(1000*x)*7
		r = b.run(NewFlows, x, Rival, 0, 1, 1)
		r.Flows, r.Instructions = 100*x, anyway+uint64(100*x)*30
	}
	for _, x := range []int{1, 3} {
		b.run(Polls, x, Rival, 0, 1, 1).Instructions = anyway + uint64(x*PolledEntries)*5
	}
	if got := b.InstructionsOf(Rival); got != (Instructions{7, 30, 5}) {
		t.Errorf("%+v", got)
	}
	if got := b.InstructionsOf(Ours); !math.IsNaN(got.Packet) || !math.IsNaN(got.Flow) ||
		!math.IsNaN(got.Connection) {
		t.Errorf("of nothing: %+v", got)
	}
	b.each(Bulk, Rival, func(r *Run) { r.Instructions = 0 })
	if got := b.InstructionsOf(Rival); !math.IsNaN(got.Packet) || got.Flow != 30 {
		t.Errorf("not counted: %+v", got)
	}
}
