package result

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// bpfVerdicts are those on conntally with eBPF as its source, beside itself with netlink and beside
// softflowd.
func (s *Suite) bpfVerdicts() []Verdict {
	if s.Emulated {
		return []Verdict{s.instructionVerdict()}
	}
	all := []Verdict{
		s.bpfBreakEvenVerdict(), s.endVerdict(), s.homeVerdict(), s.entryVerdict(),
		s.bucketVerdict(),
	}
	if s.Points(Stalls) != nil {
		all = append(all, s.stallVerdict(OursBPF, stallLimitBPF))
	}
	return all
}

// PerFlowCost returns the spread of what the whole machine works more for each flow with a program
// than without one, in ns: in an emulated machine, instructions.
func (s *Suite) PerFlowCost(x int, program string) Spread {
	return s.against(PerFlow, x, program, None, func(r, o *Run) float64 {
		return (BusyPercent(r) - BusyPercent(o)) * nsPerPercent / flowRate(r)
	})
}

// OwnPerFlowCost returns the same of the program alone, its system calls included.
func (s *Suite) OwnPerFlowCost(x int, program string) Spread {
	return s.Of(PerFlow, x, program, func(r *Run) float64 {
		return CPUPercent(r) * nsPerPercent / flowRate(r)
	})
}

const nsPerPercent = 1e7 // of a second

// flowRate returns how many flows there are in a second.
func flowRate(r *Run) float64 { return Rate(r) / float64(r.X) }

// instructionVerdict judges each number of packets per flow by itself.
func (s *Suite) instructionVerdict() Verdict {
	v := Verdict{
		Claim: "The whole machine executes no more instructions for conntally with eBPF than for " +
			"softflowd, however few packets a flow has",
		Held: true,
	}
	var found []string
	for _, x := range s.Points(PerFlow) {
		ours, rival := s.PerFlowCost(x, OursBPF).Median, s.PerFlowCost(x, Rival).Median
		if unknown(ours, rival) {
			return v.notMeasured()
		}
		v.Held = v.Held && ours <= rival
		found = append(found, fmt.Sprintf("%.0f against %.0f per flow of %d", ours, rival, x))
	}
	if len(found) == 0 {
		return v.notMeasured()
	}
	v.Found = strings.Join(found, ", ")
	return v
}

func (s *Suite) bpfBreakEvenVerdict() Verdict {
	v := Verdict{
		Claim: "The whole machine works no more for conntally with eBPF than for softflowd from 1 " +
			"packet per flow on",
	}
	xs := s.compared(OursBPF)
	if len(xs) == 0 || xs[0] != 1 {
		return v.notMeasured()
	}
	at := s.systemBreakEven(OursBPF, func(int) float64 { return 0 })
	switch {
	case math.IsNaN(at):
		v.Found = "there is no such number among those measured"
	case at == 1:
		v.Held, v.Found = true, "at 1 packet per flow already"
	default:
		v.Found = fmt.Sprintf("from %.1f packets per flow on", at)
	}
	return v
}

// endVerdict is about flows of one packet, of which each is little more than its end.
func (s *Suite) endVerdict() Verdict {
	v := Verdict{Claim: "With 20,000 ends of connections per second the whole machine works at most " +
		"half as much more for conntally with eBPF as with netlink"}
	ours, netlink := s.PerFlowCost(1, OursBPF).Median, s.PerFlowCost(1, Ours).Median
	return v.atMostHalf("%.2f µs against %.2f µs per end", ours/1e3, netlink/1e3)
}

// atMostHalf judges the claim that something costs at most half of what it does by netlink.
func (v Verdict) atMostHalf(found string, ours, netlink float64) Verdict {
	if unknown(ours, netlink) {
		return v.notMeasured()
	}
	v.Held = 2*ours <= netlink
	v.Found = fmt.Sprintf(found, ours, netlink)
	return v
}

func (s *Suite) homeVerdict() Verdict {
	v := Verdict{Claim: "A busy household costs conntally with eBPF no more CPU than with netlink"}
	xs := s.Points(Home)
	if len(xs) == 0 {
		return v.notMeasured()
	}
	ours, netlink := s.Of(Home, xs[0], OursBPF, CPUPercent), s.Of(Home, xs[0], Ours, CPUPercent)
	if !ours.Valid() || !netlink.Valid() {
		return v.notMeasured()
	}
	v.Held = ours.Median <= netlink.Median
	v.Found = fmt.Sprintf("%.3f %% of a core against %.3f %%", ours.Median, netlink.Median)
	return v
}

func (s *Suite) entryVerdict() Verdict {
	v := Verdict{Claim: "One more connection at rest costs each poll by eBPF at most half of what it " +
		"costs one by netlink"}
	return v.atMostHalf("%.0f ns against %.0f ns", s.dumpCost(OursBPF)*1e9, s.dumpCost(Ours)*1e9)
}

// bucketVerdict compares polls of large and small hash tables with the same connections.
func (s *Suite) bucketVerdict() Verdict {
	v := Verdict{Claim: "One more bucket of the kernel's hash table costs each poll by eBPF at most " +
		"half of what it costs one by netlink"}
	return v.atMostHalf("%.1f ns against %.1f ns", s.bucketCost(OursBPF), s.bucketCost(Ours))
}

// bucketCost is the CPU time in ns that a poll takes for one more bucket.
func (s *Suite) bucketCost(program string) float64 {
	xs := slices.Sorted(slices.Values(s.Points(Buckets)))
	if len(xs) < 2 {
		return math.NaN()
	}
	least, most := xs[0], xs[len(xs)-1]
	cpu := func(x int) float64 {
		return s.Of(Buckets, x, program, func(r *Run) float64 { return float64(r.CPU) }).Median
	}
	return (cpu(most) - cpu(least)) / float64(most-least)
}
