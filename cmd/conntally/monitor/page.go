package monitor

import (
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/export"
)

// contentType is that of Prometheus's text format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// page writes that format: the values of one metric lie together, behind two lines
// about it. Each line is written by itself, to a client that gathers them.
type page struct {
	w    io.Writer
	line []byte
}

// write writes all metrics as they are now. A client that has gone misses them.
func (s *Sources) write(w io.Writer) {
	p := &page{w: w}
	build := buildRow()
	p.head(&build)
	p.value(build.name, labels("version", s.Version, "goversion", runtime.Version()), build.value)
	for _, rows := range []func() []row{s.kernelRows, s.conntrackRows, s.flowRows, s.routeRows, s.neighbourRows, s.probeRows, goRows, s.processRows} {
		p.rows(rows())
	}
	p.conditions(s.Conditions())
	p.collectors(s.Collectors())
}

// conditions says of each condition whether it holds.
func (p *page) conditions(holding []condition.Condition) {
	r := conditionRow()
	p.head(&r)
	for _, d := range condition.Definitions() {
		holds := slices.ContainsFunc(holding, func(c condition.Condition) bool { return c.ID == d.ID })
		p.value(r.name, labels("condition", string(d.ID)), map[bool]float64{true: 1}[holds])
	}
}

// rows adds metrics that have no labels.
func (p *page) rows(rows []row) {
	for i := range rows {
		p.head(&rows[i])
		p.value(rows[i].name, "", rows[i].value)
	}
}

// collectors adds the metrics of each.
func (p *page) collectors(all []*export.Collector) {
	if len(all) == 0 {
		return
	}
	rows, which := make([][]row, len(all)), make([]string, len(all))
	for i, c := range all {
		rows[i] = collectorRows(&c.Stats)
		which[i] = labels("collector", c.Target.Address, "protocol", c.Target.Protocol.String())
	}
	for j := range rows[0] {
		p.head(&rows[0][j])
		for i := range all {
			p.value(rows[i][j].name, which[i], rows[i][j].value)
		}
	}
}

func (p *page) head(r *row) {
	p.add("# HELP ", r.name, " ", r.help, "\n# TYPE ", r.name, " ", r.kind(), "\n")
}

func (p *page) value(name, labels string, v float64) {
	var number [32]byte
	p.add(name, labels, " ", string(strconv.AppendFloat(number[:0], v, 'f', -1, 64)), "\n")
}

func (p *page) add(parts ...string) {
	p.line = p.line[:0]
	for _, part := range parts {
		p.line = append(p.line, part...)
	}
	_, _ = p.w.Write(p.line)
}

// labels writes pairs of a name and a value, which may be anything.
func labels(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+`="`+escape(pairs[i+1])+`"`)
	}
	return "{" + strings.Join(all, ",") + "}"
}

func escape(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), `\`, `\\`)
	return strings.ReplaceAll(strings.ReplaceAll(s, "\n", `\n`), `"`, `\"`)
}
