package report

import "github.com/conntally/conntally/bench/result"

// picture is a chart, what it shows, and the file's name.
type picture struct {
	file, scenario string
	chart          chart // without its lines
	value          func(s *result.Suite, scenario string, x int, program string) result.Spread
}

func pictures() []picture {
	return []picture{
		{"bulk-program.svg", result.Bulk, chart{
			title: "The program's own CPU time", x: "packets per second", y: "% of a core",
			logX: true, logY: true,
		}, ownSpread},
		{"bulk-machine.svg", result.Bulk, chart{
			title: "CPU time of the whole machine beside none", x: "packets per second",
			y: "% of a core", logX: true,
		}, (*result.Suite).Extra},
		{"bulk-lost.svg", result.Bulk, chart{
			title: "Packets missing at the collector", x: "packets per second", y: "of a million",
			logX: true, logY: true,
		}, lostSpread},
		{"packets-per-flow.svg", result.PerFlow, chart{
			title: "CPU time of the whole machine beside none", x: "packets per flow",
			y: "% of a core", logX: true,
		}, (*result.Suite).Extra},
		{"table.svg", result.Table, chart{
			title: "The program's own CPU time", x: "connections that rest", y: "% of a core",
			logX: true,
		}, ownSpread},
	}
}

func ownSpread(s *result.Suite, scenario string, x int, program string) result.Spread {
	return s.Of(scenario, x, program, result.CPUPercent)
}

func lostSpread(s *result.Suite, scenario string, x int, program string) result.Spread {
	return s.Of(scenario, x, program, func(r *result.Run) float64 {
		return 1e6 * float64(gap(r.Collected.Sum.Packets,
			r.Router.Packets)) / float64(r.Router.Packets)
	})
}

// draw adds the lines of all programs; ok is false if there are none.
func (p *picture) draw(s *result.Suite) (c chart, ok bool) {
	c = p.chart
	xs := s.Points(p.scenario)
	for _, x := range xs {
		c.xs = append(c.xs, float64(x))
	}
	for _, program := range s.Programs {
		l := line{name: program.Name}
		some := false
		for _, x := range xs {
			v := p.value(s, p.scenario, x, program.Name)
			l.values = append(l.values, v)
			some = some || v.Valid()
		}
		if some {
			c.lines = append(c.lines, l)
		}
	}
	return c, len(xs) > 1 && len(c.lines) > 0
}
