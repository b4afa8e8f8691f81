package report

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/conntally/conntally/bench/result"
)

// chart is lines over a common axis.
type chart struct {
	title, x, y string
	logX, logY  bool
	xs          []float64
	lines       []line
}

// line has a spread for each x; one that isn't valid is left out.
type line struct {
	name   string
	values []result.Spread
}

// Pixels.
const (
	width, height = 720, 400
	left, right   = 64, 20
	top, bottom   = 64, 52
)

// palette has colours that differ on white and on black, also for people who confuse red and green.
// Markers differ, too.
var palette = [...]struct{ colour, marker string }{
	{"#e8590c", "M-4,-4h8v8h-8z"},
	{"#4c8dd6", "M0,-5L5,4H-5z"},
	{"#2f9e77", "M0,-5L5,0L0,5L-5,0z"},
	{"#b36ad6", "M-5,-4H5L0,5z"},
	{"#a8871c", "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z"},
}

const svgHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" role="img" aria-label="%s">
<style>text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;font-weight:600}.grid{stroke:#8c959f;stroke-opacity:.35}
@media(prefers-color-scheme:dark){text{fill:#adbac7}}</style>
`

// svg draws the chart.
func (c *chart) svg() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, svgHead, width, height, escape(c.title))
	text(&b, left, 22, "", "title", c.title)
	x, y := c.axes()
	c.grid(&b, x, y)
	for i := range c.lines {
		c.legend(&b, i)
		c.line(&b, i, x, y)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (c *chart) axes() (x, y axis) {
	var values []float64
	for _, l := range c.lines {
		for _, v := range l.values {
			values = append(values, v.Median, v.Most)
		}
	}
	y = newAxis(values, c.logY, height-bottom, top)
	x = axis{log: c.logX, from: left + 24, to: width - right - 24}
	x.least, x.most = c.xs[0], c.xs[len(c.xs)-1]
	return x, y
}

func (c *chart) grid(b *bytes.Buffer, x, y axis) {
	for _, v := range y.ticks() {
		fmt.Fprintf(b, `<path class="grid" d="M%d,%.1fH%d"/>`+"\n", left, y.at(v), width-right)
		text(b, left-8, y.at(v)+4, "end", "", y.label(v))
	}
	for _, v := range c.xs {
		text(b, x.at(v), height-bottom+20, "middle", "", short(v))
	}
	text(b, (left+width-right)/2, height-10, "middle", "", c.x)
	text(b, left-50, top-10, "", "", c.y)
}

// legend stands above, in the colours of the lines.
func (c *chart) legend(b *bytes.Buffer, i int) {
	step := (width - left - right - 180) / max(1, len(c.lines))
	at := float64(left + 180 + i*step)
	c.mark(b, i, at, 49)
	text(b, at+10, 54, "", "", c.lines[i].name)
}

func (c *chart) line(b *bytes.Buffer, i int, x, y axis) {
	var path strings.Builder
	for j, v := range c.lines[i].values {
		if !v.Valid() {
			continue
		}
		command := "L"
		if path.Len() == 0 {
			command = "M"
		}
		at := x.at(c.xs[j])
		fmt.Fprintf(&path, "%s%.1f,%.1f", command, at, y.at(v.Median))
		fmt.Fprintf(b, `<path stroke="%s" d="M%.1f,%.1fV%.1f"/>`+"\n",
			c.colour(i), at, y.at(v.Least), y.at(v.Most))
		c.mark(b, i, at, y.at(v.Median))
	}
	fmt.Fprintf(b, `<path fill="none" stroke="%s" stroke-width="2" d="%s"/>`+"\n",
		c.colour(i), path.String())
}

func (c *chart) colour(i int) string { return palette[i%len(palette)].colour }

func (c *chart) mark(b *bytes.Buffer, i int, x, y float64) {
	fmt.Fprintf(b, `<path fill="%s" transform="translate(%.1f,%.1f)" d="%s"/>`+"\n",
		c.colour(i), x, y, palette[i%len(palette)].marker)
}

func text[X, Y int | float64](b *bytes.Buffer, x X, y Y, anchor, class, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f"`, float64(x), float64(y))
	if anchor != "" {
		fmt.Fprintf(b, ` text-anchor="%s"`, anchor)
	}
	if class != "" {
		fmt.Fprintf(b, ` class="%s"`, class)
	}
	fmt.Fprintf(b, ">%s</text>\n", escape(s))
}

// escape writes text as XML, apostrophes as they are.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
