package web

import (
	"html/template"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/conntally-history/web/chart"
	"github.com/conntally/conntally/cmd/internal/text"
)

// functions are those that templates call.
func (s *Site) functions() template.FuncMap {
	place := s.o.Calendar.Location
	return template.FuncMap{
		"bytes": text.Bytes,
		"bits":  text.BitRate,
		"rate": func(perSecond float64) string {
			if perSecond == 0 {
				return "–"
			}
			return text.BitRate(perSecond)
		},
		"count":    count,
		"clean":    text.Clean,
		"label":    label,
		"deviceAt": func(id string) string { return linkTo("/device", "id", id) },
		"duration": text.Duration,
		"total":    func(c usage.Counters) uint64 { return c.UpBytes + c.DownBytes },
		"share": func(c usage.Counters, largest uint64) template.HTML {
			return chart.Share{Down: c.DownBytes, Up: c.UpBytes, Largest: largest}.SVG()
		},
		"when": func(t time.Time) string { return when(t.In(place), s.o.Now().In(place)) },
		"exact": func(t time.Time) string {
			return t.In(place).Format("Mon 2 Jan 2006 15:04:05 MST")
		},
		"machine": func(t time.Time) string { return t.In(place).Format(time.RFC3339) },
		"size":    func(n int64) string { return text.Bytes(uint64(max(0, n))) },
		"contactTable": func(title string, rows []contact) contactTable {
			return contactTable{title, rows}
		},
	}
}

// contactTable is a table of destinations, and what it is called.
type contactTable struct {
	Title string
	Rows  []contact
}

// when formats a time: without the day if it is today's, without the year if it is this one.
func when(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "–"
	case t.Year() != now.Year():
		return t.Format("2 Jan 2006")
	case t.YearDay() != now.YearDay():
		return t.Format("2 Jan 15:04")
	}
	return t.Format("15:04")
}

// count formats a number with spaces between thousands, which no line break separates.
func count(n uint64) string {
	digits := strconv.FormatUint(n, 10)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteRune('\u202f')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// remoteName returns the other end of a destination.
func remoteName(a netip.Addr) string {
	if !a.IsValid() {
		return "all others"
	}
	return a.String()
}
