package top

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/show"
	"github.com/conntally/conntally/cmd/internal/text"
)

// Style is how a line of the screen looks.
type Style int

// The styles.
const (
	Plain Style = iota
	Bold
	Selected
	Warning
	Faint
)

// Line is a line of the screen, of the screen's width at most, without control characters.
type Line struct {
	Text  string
	Style Style
}

// columnsOf returns the columns of a view. Their widths don't depend on the rows. If one is
// true, all rows are of one device, which then needs no column.
func columnsOf(view View, one bool) []text.Column {
	up := text.Column{Head: "UP", Right: true, Least: 11}
	down := text.Column{Head: "DOWN", Right: true, Least: 11}
	count := text.Column{Head: "CONN", Right: true, Least: 5}
	name := text.Column{Head: "DEVICE", Flexible: true, Comfort: 12}
	top := text.Column{Head: "TOP DEVICE", Flexible: true, Comfort: 10, Optional: 1}
	switch view {
	case Destinations:
		name.Head, name.Middle = "DESTINATION", true
	case Ports:
		name.Head = "PORT"
	case Connections:
		name.Comfort = 8
		columns := []text.Column{
			name, {Head: "PROTO", Least: 5, Optional: 1}, {Head: "", Least: 1},
			{Head: "OTHER END", Flexible: true, Middle: true, Comfort: 16}, up, down,
			{Head: "BYTES", Right: true, Least: 8, Optional: 2},
			{Head: "INTERFACES", Least: 11, Optional: 3},
		}
		if one {
			return columns[1:]
		}
		return columns
	default:
		top.Head = "TOP DESTINATION"
	}
	if one {
		return []text.Column{name, up, down, count}
	}
	return []text.Column{name, up, down, count, top}
}

// table lays out rows in the columns of a view. measured is false as long as there is only
// one reading.
func table(view View, rows []Row, names map[string]string, one, measured bool) *text.Table {
	t := &text.Table{Columns: columnsOf(view, one), Fill: true}
	for i := range rows {
		r := &rows[i]
		up, down := bitRate(r.Up), bitRate(r.Down)
		if !measured {
			up, down = "-", "-"
		}
		if view != Connections {
			values := []string{r.Name, up, down, strconv.Itoa(r.Connections), cmp.Or(r.Other, "-")}
			t.Add(values[:len(t.Columns)]...)
			continue
		}
		address, port := r.Flow.Remote()
		values := []string{
			show.FlowDevice(r.Flow), r.Flow.Protocol, show.Arrow(r.Flow),
			show.Endpoint(label(names, address), port), up, down,
			text.Bytes(r.Flow.UpBytes + r.Flow.DownBytes), show.Interfaces(r.Flow),
		}
		if one {
			values = values[1:]
		}
		t.Add(values...)
	}
	return t
}

// bitRate formats a rate; nothing is "0", so that what moves stands out.
func bitRate(perSecond float64) string {
	if perSecond < 0.5 {
		return "0"
	}
	return text.BitRate(perSecond)
}

// fitting joins as many of the parts as fit, from the first one on.
func fitting(parts []string, width int) string {
	line := ""
	for i, part := range parts {
		if i > 0 {
			part = "; " + part
		}
		if i > 0 && text.Width(line+part) > width {
			break
		}
		line += text.Clean(part)
	}
	return text.Cut(line, width)
}

// edges returns left, spaces and right in a line; right goes where there is no room for both.
func edges(left, right string, width int) string {
	left, right = text.Clean(left), text.Clean(right)
	space := width - text.Width(left) - text.Width(right)
	if space < 1 {
		return text.Cut(left, width)
	}
	return left + strings.Repeat(" ", space) + right
}

// more says how many rows aren't shown.
func more(n int) string { return strconv.Itoa(n) + " more rows; see -n" }

// omitted says how many connections the source left out.
func omitted(n int) string { return strconv.Itoa(n) + " slower connections are left out" }
