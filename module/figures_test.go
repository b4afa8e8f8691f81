package module

import (
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/result"
	"github.com/conntally/conntally/module/document"
)

// results are those of the benchmark that documents quote.
const results = "../bench/results/2026-11-21-amd64-2-cores/"

// quote is a phrase of a document, with a verb for each figure in it, and the figures as the
// results have them.
type quote struct {
	path, phrase string
	figures      []any
}

// quotes returns what documents quote from results.
func quotes(t *testing.T) []quote {
	t.Helper()
	s := load(t, results+"results.json")
	cpu := func(scenario string, x int, program string) float64 {
		return s.Of(scenario, x, program, result.CPUPercent).Median
	}
	ratio := func(scenario string, x int) float64 {
		return cpu(scenario, x, result.Rival) / cpu(scenario, x, result.Ours)
	}
	both := func(scenario string, x int) []any {
		return []any{cpu(scenario, x, result.Ours), cpu(scenario, x, result.Rival)}
	}
	lost := func(program string) float64 {
		x := s.Points(result.Saturation)[0]
		return 100 - s.Of(result.Saturation, x, program, result.PacketsFound).Least
	}
	share := func(program string) []any {
		of := s.Share(result.Saturation, s.Points(result.Saturation)[0], program)
		return []any{of.Median, of.Least, of.Most}
	}
	const bulk, rate = result.Bulk, result.ClaimRate
	home := s.Points(result.Home)[0]
	lingering := s.LingeringBreakEven(3, 1) // UDP's 30 s are three polls; max_cpu is 1
	all := []quote{
		{"../README.md", "conntally's process took %.2f %% of a core and softflowd's %.1f %%",
			both(bulk, rate)},
		{"../README.md", "up to about %.0f packets per flow in this lab, and up to about %.0f",
			[]any{s.SystemBreakEven(), lingering}},
	}
	// Percent of a core at so many a second, as µs for each.
	each := func(percent, rate float64) float64 { return percent / 100 / rate * 1e6 }
	short := cpu(result.PerFlow, 1, result.Ours)
	performance := []quote{
		{"", "A flow's end costs the kernel %.0f µs to report, and conntally %.1f to %.0f µs to",
			[]any{each(s.Extra(result.PerFlow, 1, result.Ours).Median-short, 20_000),
				each(short, 20_000), each(cpu(result.NewFlows, 5000, result.Ours), 5000)}},
		{"", "a packet costs softflowd %.1f to %.1f µs",
			[]any{each(cpu(bulk, rate, result.Rival), rate),
				each(cpu(bulk, 20_000, result.Rival), 20_000)}},
		{"", "| 2000 flows, 50,000 packets/s: the program | %.2f | %.2f |", both(bulk, rate)},
		{"", "| 2000 flows, 200,000 packets/s: the program | %.2f | %.2f |", both(bulk, 200_000)},
		{"", "14,500 packets/s: the program | %.2f | %.2f |", both(result.Home, home)},
		{"", "(least and greatest) | %.0f %% (%.0f to %.0f) | %.0f %% (%.0f to %.0f) |",
			append(share(result.Ours), share(result.Rival)...)},
		{"", "| one packet per flow, 20,000 flows/s: the program | %.1f | %.1f |",
			both(result.PerFlow, 1)},
		{"", "if read every 10 s: the program | %.1f | %.2f |", both(result.Table, 250_000)},
		{"", "softflowd lost %.0f %% and pmacctd %.0f %% of the packets",
			[]any{lost(result.Rival), lost("pmacctd")}},
		{"", "**The program takes 1/%.0f of softflowd's CPU time at 50,000 packets/s, not 1/50.**",
			[]any{ratio(bulk, rate)}},
		{"", "it is 1/%.0f, with 8192, as with 1 GB, 1/%.0f; at 100,000 packets/s 1/%.0f, " +
			"at 200,000 1/%.0f.", []any{ratio(result.Buckets, 65_536), ratio(result.Buckets, 8192),
			ratio(bulk, 100_000), ratio(bulk, 200_000)}},
		{"", "**The break-even is at %.0f packets per flow, not 3**, for the whole machine, and " +
			"at %.0f for the program alone.", []any{s.SystemBreakEven(), s.ProcessBreakEven()}},
		{"", "differ by %.0f %% of a core, so the claim (at most 1/20 of softflowd's %.0f %%)",
			[]any{s.Noise(bulk, rate), s.Extra(bulk, rate, result.Rival).Median}},
		{"", "the break-even is %.0f packets per flow", []any{lingering}},
	}
	guest := load(t, "../bench/results/2026-11-30-amd64-guest/results.json")
	for name, program := range map[string]string{
		"conntally by netlink": result.Ours, "conntally by eBPF": result.OursBPF,
		"softflowd": result.Rival,
	} {
		row := "| " + name + " |"
		for _, x := range guest.Points(result.PerFlow) {
			row += " " + grouped(guest.PerFlowCost(x, program).Median) + " |"
		}
		performance = append(performance, quote{"", strings.ReplaceAll(row, "%", "%%"), nil})
	}
	i := load(t, results+"instructions.json")
	ours, rival := i.InstructionsOf(result.Ours), i.InstructionsOf(result.Rival)
	performance = append(performance, quote{"", "they were %.0f, %.0f and %.0f for softflowd, " +
		"and %.0f, %.0f and %.0f for conntally",
		[]any{math.Trunc(rival.Packet), math.Trunc(rival.Flow), math.Trunc(rival.Connection),
			0.0, math.Trunc(ours.Flow), math.Trunc(ours.Connection)}}, // it reads no packet
		quote{"", "%.0f million per second against %.2f million",
			[]any{rival.Packet * rate / 1e6, 2000 * ours.Connection / 10 / 1e6}})
	for _, q := range performance {
		q.path = "../docs/performance.md"
		all = append(all, q)
	}
	return all
}

// grouped writes a number of up to six digits as documents do.
func grouped(v float64) string {
	n := int(math.Round(v))
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

func load(t *testing.T, path string) *result.Suite {
	t.Helper()
	s, err := result.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestFiguresAreThoseOfResults: what documents quote from results is there as it was measured.
func TestFiguresAreThoseOfResults(t *testing.T) {
	for _, q := range quotes(t) {
		if text := joined(read(t, q.path)); !strings.Contains(text, q.String()) {
			t.Errorf("%s doesn't say %q, which is what was measured", q.path, q)
		}
	}
}

func (q quote) String() string { return fmt.Sprintf(q.phrase, q.figures...) }

// joined replaces the ends of lines by spaces.
func joined(text string) string { return strings.Join(strings.Fields(text), " ") }

var (
	// figure is a number that may have been measured, by its unit.
	figure = regexp.MustCompile(`(?:^|[^\w.-])(\d[\d.,]* ?(?:%|ns|µs|ms|[kMG]B|instructions|million)|` +
		`1/\d+)(?:\W|$)`)
	// measuredBy says where all figures up to the next heading come from: benchmarks, tests or
	// scripts, or something that isn't kept.
	measuredBy   = regexp.MustCompile(`^<!-- measured by (.+) -->$`)
	measuredOnce = regexp.MustCompile(`^<!-- measured once, on 20\d\d-\d\d-\d\d: .+ -->$`)
)

// given are numbers that nobody measured: limits, the kernel's own rules, examples.
var given = []string{
	"with more than 4 GB", "with more than 1 GB", "1 to 4 GB", "as with 1 GB", "not 1/50",
	"1/20 of softflowd's", "1 % of a core", "`max_cpu`, 1 %", "holds 80 % of nf_conntrack_max",
	`"500ms"`, "200 to 700 MB", "at most 2 ms", "less than 0.1 % of a day",
	"9 to 40 ns for each (`nf_conntrack_buckets`)", // as check.md has it
	"in tests, 14 to 50 % of the bytes were lost",  // by nlbwmon, once
}

// TestFiguresHaveASource: each figure is quoted from results, or a comment that readers don't
// see says what measures it, which exists, or when it was measured once.
func TestFiguresHaveASource(t *testing.T) {
	var known []string
	for _, q := range quotes(t) {
		known = append(known, q.String())
	}
	known = append(known, given...)
	for _, path := range append(documents(t, "../docs"), "../README.md") {
		text := joined(unmeasured(t, path, document.WithoutBlocks(read(t, path))))
		for _, phrase := range known {
			text = strings.ReplaceAll(text, phrase, "")
		}
		for _, at := range figure.FindAllStringSubmatchIndex(text, -1) {
			from, to := max(0, at[2]-60), min(len(text), at[3]+20)
			t.Errorf("%s: nothing says what measures %q: ...%s", path, text[at[2]:at[3]], text[from:to])
		}
	}
}

// unmeasured returns what isn't below a comment that says by what it was measured.
func unmeasured(t *testing.T, path, text string) string {
	t.Helper()
	var b strings.Builder
	said := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		said = said && !strings.HasPrefix(line, "#") || measuredOnce.MatchString(line)
		if m := measuredBy.FindStringSubmatch(line); m != nil {
			said = true
			for name := range strings.SplitSeq(m[1], ", ") {
				if !exists(name) {
					t.Errorf("%s: there is no %s to measure anything", path, name)
				}
			}
		}
		if !said {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// exists reports whether there is such a file, or a test or benchmark of that name.
func exists(name string) bool {
	if strings.Contains(name, "/") {
		return exec.Command("test", "-e", "../"+name).Run() == nil
	}
	return exec.Command("grep", "-rqE", "--include=*_test.go", "^func "+name+`\(`, "../bench", "../cmd",
		"../conntrack", "../export", "../flow", "../module").Run() == nil
}
