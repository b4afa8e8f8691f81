// Package chart draws figures as SVG, for pages that work without JavaScript.
//
//	Bars, Heat, Meter, Share -> SVG -> HTML of package web
//
// Horizontal positions are percentages and vertical ones pixels, so that a chart fills any
// width while its text keeps its size. Colours are the style sheet's, by class. The text of an
// axis stands in the padding of the svg element, which the style sheet gives it.
package chart

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// Bar is one period: what came down, and above it what went up.
type Bar struct {
	Tip      string // what a pointer over the bar shows
	Label    string // below the bar; "" for none
	Minor    bool   // the label may be left out on a narrow screen
	Down, Up uint64
	// Absent marks a period that isn't known as a whole: its bar may be too short.
	Absent bool
}

// Bars is a bar chart of bytes over time.
type Bars struct {
	ID          string // unique in the page, of letters and digits
	Title, Desc string // for those who can't see it
	Bars        []Bar
	Format      func(uint64) string // labels the axis
}

// Sizes in pixels.
const (
	barsTop    = 10 // above the highest grid line
	barsHeight = 132
	barsFoot   = 22 // for the labels below
)

// barShare is the part of a period's width that its bar takes.
const barShare = 0.76

// SVG returns the chart as an svg element.
func (b *Bars) SVG() template.HTML {
	var w writer
	top, lines := scale(b.highest())
	w.open("bars", b.ID, b.Title, b.Desc, barsTop+barsHeight+barsFoot)
	for i := range lines + 1 {
		value := top / uint64(lines) * uint64(i)
		y := barsTop + barsHeight - height(value, top)
		w.f(`<line class="grid" x1="0" x2="100%%" y1="%s" y2="%[1]s"/>`, number(y))
		w.f(`<text class="y" x="-6" y="%s" text-anchor="end" dominant-baseline="middle">%s</text>`,
			number(y), html.EscapeString(b.Format(value)))
	}
	for i := range b.Bars {
		b.bar(&w, i, top)
	}
	w.raw("</svg>")
	return w.html()
}

func (b *Bars) bar(w *writer, i int, top uint64) {
	bar := &b.Bars[i]
	step := 100 / float64(len(b.Bars))
	left, width := percent(step*(float64(i)+(1-barShare)/2)), percent(step*barShare)
	w.f(`<g class="bar"><title>%s</title>`, html.EscapeString(bar.Tip))
	background := "hit"
	if bar.Absent {
		background = "absent"
	}
	w.f(`<rect class="%s" x="%s" width="%s" y="%d" height="%d"/>`,
		background, percent(step*float64(i)), percent(step), barsTop, barsHeight)
	down := visible(bar.Down, top)
	up := min(visible(bar.Up, top), barsHeight-down)
	base := float64(barsTop + barsHeight)
	if down > 0 {
		w.f(`<rect class="down" x="%s" width="%s" y="%s" height="%s"/>`,
			left, width, number(base-down), number(down))
	}
	if up > 0 {
		w.f(`<rect class="up" x="%s" width="%s" y="%s" height="%s"/>`,
			left, width, number(base-down-up), number(up))
	}
	w.raw("</g>")
	if bar.Label == "" {
		return
	}
	class := "x"
	if bar.Minor {
		class = "x minor"
	}
	w.f(`<text class="%s" x="%s" y="%d" text-anchor="middle">%s</text>`, class,
		percent(step*(float64(i)+0.5)), barsTop+barsHeight+15, html.EscapeString(bar.Label))
}

func (b *Bars) highest() (most uint64) {
	for i := range b.Bars {
		most = max(most, sum(b.Bars[i].Down, b.Bars[i].Up))
	}
	return most
}

// sum adds without overflow.
func sum(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// scale returns the value of the highest grid line, a round one that isn't below most, and
// how many grid lines stand above 0.
func scale(most uint64) (top uint64, lines int) {
	for unit := uint64(1); ; unit *= 10 {
		for _, s := range []struct{ tenths, lines uint64 }{
			{10, 2}, {20, 4}, {30, 3}, {40, 4}, {50, 5}, {60, 3}, {80, 4},
		} {
			top := unit * s.tenths
			if most <= top || top > math.MaxUint64/20 {
				return top, int(s.lines)
			}
		}
	}
}

// height returns how high a value stands, in pixels.
func height(value, top uint64) float64 {
	return min(barsHeight, float64(value)/float64(top)*barsHeight)
}

// visible is height, but nothing that moved is invisible.
func visible(value, top uint64) float64 {
	if value == 0 {
		return 0
	}
	return max(1, height(value, top))
}

// writer collects the text of one svg element.
type writer struct{ strings.Builder }

func (w *writer) f(format string, values ...any) { fmt.Fprintf(w, format, values...) }

func (w *writer) raw(s string) { w.WriteString(s) }

func (w *writer) html() template.HTML { return template.HTML(w.String()) }

// open begins the element of a chart that has a title and a description.
func (w *writer) open(class, id, title, desc string, height int) {
	w.f(`<svg class="%s" xmlns="http://www.w3.org/2000/svg" width="100%%" height="%d" role="img"`+
		` aria-labelledby="%[3]s-title %[3]s-desc"><title id="%[3]s-title">%[4]s</title>`+
		`<desc id="%[3]s-desc">%[5]s</desc>`, class, height,
		html.EscapeString(id), html.EscapeString(title), html.EscapeString(desc))
}

// percent formats a percentage of the width.
func percent(v float64) string { return number(v) + "%" }

// number formats a length with at most two decimals.
func number(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}
