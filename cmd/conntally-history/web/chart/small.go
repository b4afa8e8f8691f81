package chart

import (
	"html"
	"html/template"
	"math"
)

// Cell is one field of a Heat.
type Cell struct {
	Tip   string
	Value uint64
}

// Heat is a table of rows by columns, each field as dark as its value is large.
type Heat struct {
	ID          string // as that of Bars
	Title, Desc string
	Rows        []string // labels
	Columns     []string // labels; "" for none
	Cells       [][]Cell // by row
}

// Sizes in pixels.
const (
	heatRow  = 20
	heatGap  = 2
	heatFoot = 18
)

// heatLevels is how many shades there are, besides that of nothing.
const heatLevels = 5

// SVG returns the table as an svg element.
func (h *Heat) SVG() template.HTML {
	var w writer
	w.open("heat", h.ID, h.Title, h.Desc, len(h.Rows)*heatRow+heatFoot)
	most := uint64(0)
	for _, row := range h.Cells {
		for _, cell := range row {
			most = max(most, cell.Value)
		}
	}
	step := 100 / float64(max(1, len(h.Columns)))
	for y, label := range h.Rows {
		w.f(`<text class="y" x="-6" y="%d" text-anchor="end" dominant-baseline="middle">%s</text>`,
			y*heatRow+(heatRow-heatGap)/2, html.EscapeString(label))
		for x, cell := range h.Cells[y] {
			w.f(`<rect class="level%d" x="%s" width="%s" y="%d" height="%d"><title>%s</title></rect>`,
				level(cell.Value, most), percent(step*float64(x)), percent(step*0.92),
				y*heatRow, heatRow-heatGap, html.EscapeString(cell.Tip))
		}
	}
	for x, label := range h.Columns {
		if label != "" {
			w.f(`<text class="x" x="%s" y="%d">%s</text>`, percent(step*float64(x)),
				len(h.Rows)*heatRow+12, html.EscapeString(label))
		}
	}
	w.raw("</svg>")
	return w.html()
}

// level returns the shade of a value. Shades follow the square root, as few hours of much
// would leave all others white.
func level(value, most uint64) int {
	if value == 0 {
		return 0
	}
	return max(1, int(math.Ceil(math.Sqrt(float64(value)/float64(most))*heatLevels)))
}

// Meter is how much of a limit is used.
type Meter struct {
	Used, Limit uint64
	// Expected is where Used is going to be; 0 if that isn't known.
	Expected uint64
	Label    string // for those who can't see it
}

// meterHeight in pixels.
const meterHeight = 12

// SVG returns the meter as an svg element. Its width is the limit, or what is beyond it.
func (m *Meter) SVG() template.HTML {
	var w writer
	whole := float64(max(m.Used, m.Limit, m.Expected, 1))
	class := "meter"
	switch {
	case m.Used > m.Limit:
		class = "meter over"
	case m.Expected > m.Limit:
		class = "meter close"
	}
	part := func(v uint64) string { return percent(float64(v) / whole * 100) }
	w.f(`<svg class="%s" xmlns="http://www.w3.org/2000/svg" width="100%%" height="%d" role="img"`+
		` aria-label="%s">`, class, meterHeight, html.EscapeString(m.Label))
	w.f(`<rect class="track" width="100%%" height="%d"/>`, meterHeight)
	if m.Expected > m.Used {
		w.f(`<rect class="expected" width="%s" height="%d"/>`, part(m.Expected), meterHeight)
	}
	w.f(`<rect class="used" width="%s" height="%d"/>`, part(m.Used), meterHeight)
	if m.Limit > 0 && float64(m.Limit) < whole {
		w.f(`<line class="limit" x1="%s" x2="%[1]s" y1="0" y2="%d"/>`, part(m.Limit), meterHeight)
	}
	w.raw("</svg>")
	return w.html()
}

// Share is a bar in a row of a table, as long as its part of the largest. The figures stand
// beside it, so it has no text of its own.
type Share struct{ Down, Up, Largest uint64 }

// SVG returns the bar as an svg element.
func (s Share) SVG() template.HTML {
	var w writer
	whole := float64(max(s.Largest, 1))
	down := min(100, float64(s.Down)/whole*100)
	up := min(100-down, float64(s.Up)/whole*100)
	w.raw(`<svg class="share" xmlns="http://www.w3.org/2000/svg" width="100%" height="8"` +
		` aria-hidden="true">`)
	w.f(`<rect class="down" width="%s" height="8"/>`, percent(down))
	w.f(`<rect class="up" x="%s" width="%s" height="8"/></svg>`, percent(down), percent(up))
	return w.html()
}
