package report

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/conntally/conntally/bench/result"
)

// summary writes the table of bulk traffic at the rate of the claims.
func summary(w io.Writer, s *result.Suite) {
	const x = result.ClaimRate
	fmt.Fprintf(w,
		"| 2000 flows, %s packets/s | the program's CPU | the whole machine's, kernel included | "+
			"packets at the collector | memory |\n|---|---:|---:|---:|---:|\n", grouped(x))
	for _, p := range s.Programs {
		cpu := s.Of(result.Bulk, x, p.Name, result.CPUPercent)
		if !cpu.Valid() {
			continue
		}
		fmt.Fprintf(w, "| %s %s | %s | %s | %s | %s |\n", p.Name, p.Version, plain(cpu, " %"),
			plain(s.Extra(result.Bulk, x, p.Name), " %"), found(s, result.Bulk, x, p.Name),
			plain(s.Of(result.Bulk, x, p.Name, result.Peak), " MB"))
	}
}

// breakEvens writes from where on conntally costs no more than softflowd.
func breakEvens(w io.Writer, s *result.Suite) {
	fmt.Fprintf(w,
		"conntally costs no more than softflowd from so many packets per flow on: %s (the "+
			"program), %s (the whole machine). ",
		packets(s.ProcessBreakEven()), packets(s.SystemBreakEven()))
	if cost := s.DumpCost(); !math.IsNaN(cost) {
		fmt.Fprintf(w,
			"In these runs the kernel forgets a UDP flow a second after its last packet, so that "+
				"few are there when conntally polls. With the kernel's own 30 s each is read "+
				"three times more, at %.2f µs a time, all polls together bounded to 1 %% of a "+
				"core (max_cpu): calculated so, the whole machine's break-even is %s.",
			cost*1e6, packets(s.LingeringBreakEven(3, 1)))
	}
	fmt.Fprint(w, "\n\n")
}

func packets(v float64) string {
	if math.IsNaN(v) {
		return "none of those measured"
	}
	return fmt.Sprintf("%.1f", v)
}

func dumps(w io.Writer, s *result.Suite) {
	if cost := s.DumpCost(); !math.IsNaN(cost) {
		fmt.Fprintf(w,
			"conntally reads the whole table every 10 s, %.2f µs for one connection more; packet "+
				"capture doesn't know of connections that rest. Shown is what one poll in 10 s "+
				"costs; by default conntally stretches the time between polls as soon as they "+
				"would take more than 1 %% of a core (max_cpu).\n\n", cost*1e6)
	}
}

func homeTable(w io.Writer, s *result.Suite, sc *result.Scenario) {
	fmt.Fprint(w, "| | the program's CPU | the whole machine's | memory | packets at the "+
		"collector | flows exactly right | exported | last packet to last record: median | 95 % "+
		"| at most |\n"+
		"|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	x := sc.Points[0]
	for _, p := range s.Programs {
		if !s.Of(sc.Name, x, p.Name, result.CPUPercent).Valid() {
			continue
		}
		of := func(value func(*result.Run) float64, unit string) string {
			return plain(s.Of(sc.Name, x, p.Name, value), unit)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", p.Name,
			own(s, sc.Name, x, p.Name), extra(s, sc.Name, x, p.Name), of(result.Peak, " MB"),
			found(s, sc.Name, x, p.Name),
			share(s.Of(sc.Name, x, p.Name, result.FlowsExact).Median), of(result.Exported, " kB"),
			of(result.DelayMedian, " s"), of(result.DelayP95, " s"), of(result.DelayMost, " s"))
	}
	fmt.Fprintln(w)
}

func saturationTable(w io.Writer, s *result.Suite, sc *result.Scenario) {
	fmt.Fprint(w, "| | packets forwarded per second | of those without a program | packets at "+
		"the collector |\n|---|---:|---:|---:|\n")
	x := sc.Points[0]
	for _, name := range append([]string{result.None}, names(s)[:len(s.Programs)]...) {
		rate := s.Of(sc.Name, x, name, result.Rate)
		if rate.Valid() {
			of := ""
			if name != result.None {
				of = figure(s.Share(sc.Name, x, name), " %")
			}
			fmt.Fprintf(w, "| %s | %s | %s | %s |\n",
				name, figure(rate, ""), of, found(s, sc.Name, x, name))
		}
	}
	fmt.Fprintln(w)
}

func programs(w io.Writer, s *result.Suite) {
	fmt.Fprint(w, "## The programs, and why they are configured so\n\n")
	for _, p := range s.Programs {
		how := "reads conntrack"
		if p.Captures {
			how = "is shown each packet"
		}
		fmt.Fprintf(w, "**%s** %s %s and exports %s. `%s`\n%s\n%s\n\n",
			p.Name, p.Version, how, p.Export, p.Command, p.Why, faults(s, p.Name))
	}
}

// faults describes what was wrong with a program's records. Saturation is left out, since a program
// may lack time there.
func faults(s *result.Suite, program string) string {
	runs, exact, merged := 0, 0, false
	for i := range s.Runs {
		r := &s.Runs[i]
		if r.Program != program || r.Error != "" || r.Scenario == result.Saturation {
			continue
		}
		runs++
		if distance(r) == 0 {
			exact++
		}
		merged = merged || r.Collected.Merged
	}
	text := fmt.Sprintf("Packets and bytes were exactly those of nftables in %d of %d runs, "+
		"saturation left out.", exact, runs)
	if merged {
		text += " It adds both directions of a flow up in one record, so that what came and what " +
			"went can't be distinguished."
	}
	return text
}

func upper(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
