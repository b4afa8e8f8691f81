package web

import (
	"context"
	"html/template"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/conntally-history/web/chart"
	"github.com/conntally/conntally/cmd/internal/text"
)

// figure is a chart with the table that says the same in numbers.
type figure struct {
	Title string
	SVG   template.HTML
	Rows  []figureRow // those that are not zero, the latest first
	Sum   usage.Counters
	// Absent: some of it is incomplete, as conntally-history did not run all the time.
	Absent bool
}

// figureRow is one bar in numbers.
type figureRow struct {
	Label string
	usage.Counters
	Absent bool
}

// series are the values of the bars.
type series struct {
	bars
	values []usage.Counters
	absent []bool
}

// newSeries returns the bars without values.
func (s *Site) newSeries(ctx context.Context, b bars) (*series, error) {
	n := len(b.starts) - 1
	v := &series{bars: b, values: make([]usage.Counters, n), absent: make([]bool, n)}
	losses, err := s.o.History.Losses(ctx, b.starts[0], b.starts[n])
	if err != nil {
		return nil, err
	}
	for i := range v.absent {
		from, to := b.starts[i], b.starts[i+1]
		away := absentDuring(losses.Absent, from, to)
		v.absent[i] = float64(away) > float64(to.Sub(from))*visibleAbsence
	}
	return v, nil
}

// visibleAbsence is the part of a period without conntally-history from which on its bar is
// marked: a short restart doesn't make a whole month look wrong. The page says all of them.
const visibleAbsence = 0.02

func (v *series) add(start time.Time, c usage.Counters) {
	if i, ok := v.index(start); ok {
		v.values[i].Add(c)
	}
}

// deviceFigure draws what a device moved through an uplink; "" is all of them.
func (s *Site) deviceFigure(ctx context.Context, q *request, b bars,
	device, id, title string) (figure, error) {
	v, err := s.newSeries(ctx, b)
	if err != nil {
		return figure{}, err
	}
	if device == "" {
		err = s.addTotals(ctx, v)
	} else {
		err = s.addDevice(ctx, v, device)
	}
	return v.figure(q, id, title), err
}

func (s *Site) addTotals(ctx context.Context, v *series) error {
	rows, err := s.o.History.Totals(ctx, v.span(""))
	for i := range rows {
		v.add(rows[i].Start, rows[i].WAN)
	}
	return err
}

func (s *Site) addDevice(ctx context.Context, v *series, device string) error {
	rows, err := s.o.History.Devices(ctx, v.span(device))
	for i := range rows {
		v.add(rows[i].Start, rows[i].WAN)
	}
	return err
}

// serviceFigure draws what all services moved.
func (s *Site) serviceFigure(ctx context.Context, q *request, b bars, id, title string,
) (figure, error) {
	v, err := s.newSeries(ctx, b)
	if err != nil {
		return figure{}, err
	}
	rows, err := s.o.History.Services(ctx, b.span(""))
	if err != nil {
		return figure{}, err
	}
	for i := range rows {
		v.add(rows[i].Start, rows[i].Counters)
	}
	return v.figure(q, id, title), nil
}

func (v *series) figure(q *request, id, title string) figure {
	f := figure{Title: title}
	c := chart.Bars{ID: id, Title: title, Format: text.Bytes}
	most := -1
	for i, value := range v.values {
		f.Sum.Add(value)
		row := figureRow{Label: v.name(i), Counters: value, Absent: v.absent[i]}
		f.Absent = f.Absent || row.Absent
		if size(value) > 0 || row.Absent {
			f.Rows = append([]figureRow{row}, f.Rows...)
		}
		if most < 0 || size(value) > size(v.values[most]) {
			most = i
		}
		bar := chart.Bar{
			Down: value.DownBytes, Up: value.UpBytes, Absent: v.absent[i], Tip: row.tip(),
		}
		if v.starts[i].After(q.now) {
			bar.Tip = row.Label
		}
		bar.Label, bar.Minor = v.axis(i)
		c.Bars = append(c.Bars, bar)
	}
	c.Desc = "Nothing moved."
	if size(f.Sum) > 0 {
		c.Desc = text.Bytes(f.Sum.DownBytes) + " down and " + text.Bytes(f.Sum.UpBytes) +
			" up in all; most: " + f.mostRow(v.name(most)).tip() + "."
	}
	f.SVG = c.SVG()
	return f
}

func (f *figure) mostRow(name string) *figureRow {
	for i := range f.Rows {
		if f.Rows[i].Label == name {
			return &f.Rows[i]
		}
	}
	return &figureRow{Label: name}
}

// tip describes a bar in one line.
func (r *figureRow) tip() string {
	tip := r.Label + ": " + text.Bytes(r.DownBytes) + " down, " + text.Bytes(r.UpBytes) + " up"
	if r.Absent {
		tip += "; conntally-history did not run all the time"
	}
	return tip
}

func size(c usage.Counters) uint64 { return c.DownBytes + c.UpBytes }

// name returns what a bar is called.
func (v *series) name(i int) string {
	start := v.starts[i]
	switch v.period {
	case store.ByHour:
		return start.Format("Mon 2 Jan, 15:04") + "–" + v.starts[i+1].Format("15:04")
	case store.ByDay:
		return start.Format("Mon 2 Jan 2006")
	}
	return start.Format("January 2006")
}

// axis returns what stands below a bar, and whether that is of less importance.
func (v *series) axis(i int) (label string, minor bool) {
	start := v.starts[i]
	switch v.period {
	case store.ByHour:
		if hour := start.Hour(); hour%3 == 0 {
			return start.Format("15:04"), hour%6 != 0
		}
		return "", false
	case store.ByDay:
		if i%7 == 0 {
			return start.Format("2 Jan"), false
		}
		return "", false
	}
	if start.Month() == time.January {
		return start.Format("2006"), false
	}
	return start.Format("Jan"), (len(v.values)-1-i)%2 != 0
}

// sum returns the sum of all bars; of no figure it is zero.
func (f *figure) sum() usage.Counters {
	if f == nil {
		return usage.Counters{}
	}
	return f.Sum
}
