package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/conntally/conntally/bench/result"
)

// cell writes one figure of a table.
type cell func(s *result.Suite, scenario string, x int, program string) string

// matrix writes a table: a row for each program that has a value, a column for each
// point.
func matrix(w io.Writer, s *result.Suite, sc *result.Scenario, of cell) {
	fmt.Fprintf(w, "| %s |", sc.Unit)
	for _, x := range sc.Points {
		fmt.Fprintf(w, " %s |", grouped(x))
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---:|", len(sc.Points)))
	for _, name := range names(s) {
		var row strings.Builder
		found := false
		for _, x := range sc.Points {
			text := of(s, sc.Name, x, name)
			found = found || text != ""
			fmt.Fprintf(&row, " %s |", text)
		}
		if found {
			fmt.Fprintf(w, "| %s |%s\n", name, row.String())
		}
	}
	fmt.Fprintln(w)
}

// names are the programs, and none.
func names(s *result.Suite) []string {
	var all []string
	for _, p := range s.Programs {
		all = append(all, p.Name)
	}
	return append(all, result.None)
}

// own writes the program's CPU time, extra that of the whole machine beside none.
func own(s *result.Suite, scenario string, x int, program string) string {
	if program == result.None {
		return ""
	}
	return figure(s.Of(scenario, x, program, result.CPUPercent), " %")
}

func extra(s *result.Suite, scenario string, x int, program string) string {
	if program == result.None {
		return figure(s.Of(scenario, x, program, result.BusyPercent), " % in all")
	}
	return figure(s.Extra(scenario, x, program), " %")
}

func memory(s *result.Suite, scenario string, x int, program string) string {
	if program == result.None {
		return ""
	}
	return figure(s.Of(scenario, x, program, result.Peak), " MB")
}

func stall(s *result.Suite, scenario string, x int, program string) string {
	return figure(s.Of(scenario, x, program, result.Stall), " ms")
}

// figure writes a median, and from where to where repetitions went.
func figure(v result.Spread, unit string) string {
	switch {
	case !v.Valid():
		return ""
	case v.N == 1:
		return digits(v.Median) + unit
	}
	return fmt.Sprintf("%s%s <sub>%s to %s</sub>", digits(v.Median), unit, digits(v.Least),
		digits(v.Most))
}

// plain writes the median alone.
func plain(v result.Spread, unit string) string {
	if !v.Valid() {
		return ""
	}
	return digits(v.Median) + unit
}

// digits writes three that count.
func digits(v float64) string {
	switch a := max(v, -v); {
	case v >= 1000:
		return grouped(int(v))
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	case a >= 1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

// found writes what of the packets arrived, and what the program says of the rest, in
// the worst repetition.
func found(s *result.Suite, scenario string, x int, program string) string {
	var worst *result.Run
	for i := range s.Runs {
		r := &s.Runs[i]
		if r.Scenario == scenario && r.X == x && r.Program == program && r.Error == "" &&
			program != result.None &&
			(worst == nil || distance(r) > distance(worst)) {
			worst = r
		}
	}
	if worst == nil {
		return ""
	}
	if distance(worst) == 0 {
		return "exact"
	}
	return fmt.Sprintf("%+d <sub>%s; %s</sub>",
		int64(worst.Collected.Sum.Packets-worst.Router.Packets),
		share(result.PacketsFound(worst)), admits(worst))
}

// distance is by how many packets and bytes a run is wrong.
func distance(r *result.Run) uint64 {
	return gap(r.Collected.Sum.Packets, r.Router.Packets) +
		gap(r.Collected.Sum.Bytes, r.Router.Bytes)
}

func gap(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// share writes a percentage so that 99.9999 doesn't become 100.
func share(v float64) string {
	text := fmt.Sprintf("%.2f %%", v)
	if text == "100.00 %" && v != 100 {
		return fmt.Sprintf("%.5f %%", v)
	}
	return text
}

func admits(r *result.Run) string {
	if r.Missed == nil {
		return "doesn't say"
	}
	return fmt.Sprintf("admits %s %s", grouped(r.Missed.Count), r.Missed.Unit)
}
