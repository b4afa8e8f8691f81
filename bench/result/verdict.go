package result

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Names of scenarios, programs and points that conclusions are drawn from.
const (
	Bulk       = "bulk"
	PerFlow    = "packets-per-flow"
	NewFlows   = "new-flows"
	Table      = "table"
	Buckets    = "buckets"
	Home       = "home"
	Saturation = "saturation"
	Polls      = "polls"
	Stalls     = "stalls"

	Ours    = "conntally"
	OursBPF = "conntally-bpf" // the same by eBPF
	Rival   = "softflowd"

	ClaimRate = 50_000 // packets per second of bulk

	PolledEntries = 10_000 // connections of Polls

	StallBuckets  = 262_144 // of Stalls
	stallLimit    = 2.0     // ms
	stallLimitBPF = 1.0
)

// NotMeasured is found where nothing was.
const NotMeasured = "not measured"

// Verdict is the result for a claim.
type Verdict struct {
	Claim  string
	Held   bool
	Hidden bool // by noise: neither held nor refuted
	Found  string
}

// Verdicts compares the claims with the measurements. Results from before stalls were measured, or
// of a kernel without eBPF, have no verdict on them.
func (s *Suite) Verdicts() []Verdict {
	var all []Verdict
	if !s.Emulated {
		all = append(all, s.processVerdict(), s.systemVerdict(), s.breakEvenVerdict())
	}
	all = append(all, s.exactVerdict())
	if s.Points(Stalls) != nil {
		all = append(all, s.stallVerdict(Ours, stallLimit))
	}
	if s.ran(OursBPF) {
		all = append(all, s.bpfVerdicts()...)
	}
	return all
}

// ran reports whether there is a run of a program.
func (s *Suite) ran(program string) bool {
	return slices.ContainsFunc(s.Runs, func(r Run) bool { return r.Program == program })
}

func (s *Suite) processVerdict() Verdict {
	v := Verdict{
		Claim: "In bulk at 50,000 packets/s conntally's process takes at most 1/50 of " +
			"softflowd's CPU",
	}
	ours, rival := s.processes(Bulk, ClaimRate)
	if unknown(ours, rival) {
		return v.notMeasured()
	}
	v.Held = ours*50 <= rival
	v.Found = fmt.Sprintf("%.3f %% of a core against %.2f %%: 1/%.0f", ours, rival, rival/ours)
	for _, x := range s.Points(Buckets) {
		ours, rival := s.processes(Buckets, x)
		if !unknown(ours, rival) {
			v.Found += fmt.Sprintf("; with %d buckets 1/%.0f", x, rival/ours)
		}
	}
	return v
}

// processes returns what the programs themselves take, in percent of one core.
func (s *Suite) processes(scenario string, x int) (ours, rival float64) {
	return s.Of(scenario, x, Ours, CPUPercent).Median, s.Of(scenario, x, Rival, CPUPercent).Median
}

// systemVerdict allows for noise: a cost within the noise doesn't refute the claim, but the verdict
// claims no more than the noise allows.
func (s *Suite) systemVerdict() Verdict {
	v := Verdict{
		Claim: "In bulk at 50,000 packets/s the whole machine works at most 1/20 as much more " +
			"for conntally as for softflowd",
	}
	ours, rival := s.Extra(Bulk, ClaimRate, Ours).Median, s.Extra(Bulk, ClaimRate, Rival).Median
	if unknown(ours, rival) {
		return v.notMeasured()
	}
	noise := s.Noise(Bulk, ClaimRate)
	v.Held = ours*20 <= rival
	v.Found = fmt.Sprintf("%.2f %% of a core against %.2f %%", ours, rival)
	if s.Of(Bulk, ClaimRate, None, BusyPercent).N < 2 {
		v.Found += ", once: without repetitions it is unknown how much of that is noise"
		return v
	}
	v.Found += fmt.Sprintf(", where repetitions without a program differ by %.2f %%", noise)
	switch {
	case ours > noise:
		v.Found += fmt.Sprintf(": 1/%.0f", rival/ours)
	case noise*20 <= rival:
		v.Found += fmt.Sprintf("; conntally's part is within that, so that one can only say "+
			"1/%.0f or less", rival/noise)
	default:
		v.Held, v.Hidden = false, true
		v.Found += "; conntally's part is within that, but so is 1/20 of softflowd's: it is " +
			"not measurable"
	}
	return v
}

func (s *Suite) breakEvenVerdict() Verdict {
	v := Verdict{
		Claim: "The whole machine works no more for conntally than for softflowd from 3 packets " +
			"per flow on",
	}
	if !s.spans(3) {
		return v.notMeasured()
	}
	at := s.SystemBreakEven()
	if math.IsNaN(at) {
		v.Found = "there is no such number among those measured"
		return v
	}
	v.Held = at <= 3
	v.Found = fmt.Sprintf("from %.1f packets per flow on", at)
	if at == float64(s.compared(Ours)[0]) {
		v.Found = fmt.Sprintf("at %.0f packets per flow already", at)
	}
	if torn := s.undecided(); len(torn) > 0 {
		v.Found += fmt.Sprintf("; of %s packets per flow some repetitions say the one and some "+
			"the other", strings.Join(torn, ", "))
	}
	return v
}

// exactVerdict looks at every run of ours.
func (s *Suite) exactVerdict() Verdict {
	v := Verdict{
		Claim: "conntally's packets and bytes are exactly those of nftables, in every run",
		Held:  true,
	}
	runs, wrong := 0, []string{}
	for i := range s.Runs {
		r := &s.Runs[i]
		if r.Program != Ours && r.Program != OursBPF || r.Scenario == Saturation {
			continue
		}
		runs++
		switch {
		case r.Error != "":
			wrong = append(wrong, fmt.Sprintf("%s %d: failed", r.Scenario, r.X))
		case Inexact(r):
			wrong = append(wrong, fmt.Sprintf("%s %d: %+d packets, %+d bytes", r.Scenario, r.X,
				int64(r.Collected.Sum.Packets-r.Router.Packets),
				int64(r.Collected.Sum.Bytes-r.Router.Bytes)))
		}
	}
	if runs == 0 {
		return v.notMeasured()
	}
	v.Held = len(wrong) == 0
	v.Found = fmt.Sprintf("in %d of %d runs", runs-len(wrong), runs)
	if !v.Held {
		v.Found += "; not in " + strings.Join(wrong, "; ")
	}
	return v
}

// stallVerdict judges the longest stall of all repetitions, unless the machine has such stalls of
// its own.
func (s *Suite) stallVerdict(program string, limit float64) Verdict {
	v := Verdict{
		Claim: fmt.Sprintf("With %d buckets no poll of %s stalls its core for more than "+
			"%.0f ms, however many connections there are", StallBuckets, program, limit),
		Held: true,
	}
	var found []string
	for _, x := range s.Points(Stalls) {
		ours, none := s.Of(Stalls, x, program, Stall), s.Of(Stalls, x, None, Stall)
		if !ours.Valid() || !none.Valid() {
			return v.notMeasured()
		}
		found = append(found, fmt.Sprintf("%d connections %.2f ms, median %.2f (without a "+
			"program %.2f, %.2f)", x, ours.Most, ours.Median, none.Most, none.Median))
		if ours.Most > limit {
			v.Held = false
			v.Hidden = v.Hidden || none.Most > limit
		}
	}
	if len(found) == 0 {
		return v.notMeasured()
	}
	v.Found = strings.Join(found, "; ")
	if v.Hidden {
		v.Found += ": the machine itself stalls for longer than that"
	}
	return v
}

func (v Verdict) notMeasured() Verdict {
	v.Held, v.Found = false, NotMeasured
	return v
}

func unknown(values ...float64) bool {
	for _, v := range values {
		if math.IsNaN(v) {
			return true
		}
	}
	return false
}

// Inexact reports whether the collector received other packet or byte counts than were sent.
func Inexact(r *Run) bool { return r.Program != None && r.Collected.Sum != r.Router }

// compared are the packets per flow at which a program ran, and softflowd.
func (s *Suite) compared(program string) []int {
	return slices.DeleteFunc(slices.Clone(s.Points(PerFlow)), func(x int) bool {
		return !s.Difference(PerFlow, x, program, Rival).Valid()
	})
}

// spans reports whether both ran at x packets per flow or fewer, and at more.
func (s *Suite) spans(x int) bool {
	xs := s.compared(Ours)
	return len(xs) > 0 && xs[0] <= x && xs[len(xs)-1] > x
}

// SystemBreakEven is the number of packets per flow from which on the whole machine
// works no more for conntally than for softflowd; see BreakEven.
func (s *Suite) SystemBreakEven() float64 {
	return s.systemBreakEven(Ours, func(int) float64 { return 0 })
}

// ProcessBreakEven is the same of the programs' own CPU time.
func (s *Suite) ProcessBreakEven() float64 {
	xs := s.compared(Ours)
	a, b := make([]float64, len(xs)), make([]float64, len(xs))
	for i, x := range xs {
		a[i], b[i] = s.processes(PerFlow, x)
	}
	return BreakEven(xs, a, b)
}

// LingeringBreakEven is SystemBreakEven where the kernel remembers each flow for so
// many polls after its last packet. The lab's forgets them at once, and a real one's
// doesn't (nf_conntrack_udp_timeout is 30 s, three polls). What polls may take
// in all, in percent of a core, is bounded.
func (s *Suite) LingeringBreakEven(polls, most float64) float64 {
	dump := s.DumpCost()
	return s.systemBreakEven(Ours, func(x int) float64 {
		flows := s.Of(PerFlow, x, Ours, Rate).Median / float64(x)
		return min(most, 100*flows*polls*dump)
	})
}

// systemBreakEven adds more to conntally's part.
func (s *Suite) systemBreakEven(program string, more func(x int) float64) float64 {
	xs := s.compared(program)
	a, b := make([]float64, len(xs)), make([]float64, len(xs))
	for i, x := range xs {
		a[i] = s.Difference(PerFlow, x, program, Rival).Median + more(x)
	}
	return BreakEven(xs, a, b)
}

// undecided are the points where repetitions disagree on who is cheaper.
func (s *Suite) undecided() (points []string) {
	for _, x := range s.Points(PerFlow) {
		if d := s.Difference(PerFlow, x, Ours, Rival); d.Valid() && d.Least < 0 && d.Most > 0 {
			points = append(points, strconv.Itoa(x))
		}
	}
	return points
}

// DumpCost is the CPU time in seconds that a poll takes for one more connection: the
// slope between the smallest and the greatest table.
func (s *Suite) DumpCost() float64 { return s.dumpCost(Ours) }

func (s *Suite) dumpCost(program string) float64 {
	xs := s.Points(Table)
	if len(xs) < 2 {
		return math.NaN()
	}
	least, most := xs[0], xs[len(xs)-1]
	perWindow := func(r *Run) float64 { return r.CPU.Seconds() } // of one poll
	return (s.Of(Table, most, program, perWindow).Median - s.Of(Table, least, program,
		perWindow).Median) / float64(most-least)
}

// Points are the values of what varies in a scenario.
func (s *Suite) Points(scenario string) []int {
	for _, sc := range s.Scenarios {
		if sc.Name == scenario {
			return sc.Points
		}
	}
	return nil
}
