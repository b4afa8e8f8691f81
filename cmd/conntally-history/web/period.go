package web

import (
	"strconv"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// unit is how long a window is.
type unit string

// The units, as they stand in addresses.
const (
	hourly  unit = "hour"
	daily   unit = "day"
	monthly unit = "month"
)

// window is an hour, a day or a billing month.
type window struct {
	Unit     unit
	From, To time.Time
	Current  bool   // now is in it
	Label    string // "Sunday 29 November 2026"
	At       string // names it in addresses
}

// calendar divides time into windows.
type calendar struct {
	usage.Calendar
	billingDay int
}

// window returns the window that t is in.
func (c calendar) window(u unit, t, now time.Time) window {
	w := window{Unit: u}
	switch u {
	case hourly:
		hour, _ := c.Hour(t)
		w.From = time.Unix(int64(hour), 0).In(c.Location)
		w.To = w.From.Add(time.Hour)
		w.Label = w.From.Format("Monday 2 January 2006, 15:04") + "–" + w.To.Format("15:04")
		w.At = strconv.FormatInt(w.From.Unix(), 10)
	case daily:
		day := c.Day(t)
		w.From, w.To = c.Start(day), c.Start(day+1)
		w.Label, w.At = w.From.Format("Monday 2 January 2006"), day.String()
	case monthly:
		w.From, w.To = report.BillingMonth(c.Calendar, t, c.billingDay)
		w.Label, w.At = w.From.Format("January 2006"), c.Day(w.From).Month().String()
		if c.billingDay > 1 {
			last := c.Start(c.Day(w.To) - 1)
			w.Label = w.From.Format("2 January") + " to " + last.Format("2 January 2006")
		}
	}
	w.Current = !now.Before(w.From) && now.Before(w.To)
	return w
}

// parseAt returns a time within the window that text names.
func (c calendar) parseAt(u unit, text string) (time.Time, bool) {
	switch u {
	case hourly:
		seconds, err := strconv.ParseInt(text, 10, 64)
		return time.Unix(seconds, 0), err == nil && seconds >= 0 && seconds < 1<<33
	case daily:
		t, err := time.Parse(time.DateOnly, text)
		return c.Start(usage.Day(t.Unix() / 86400)), err == nil && t.Year() >= 1970
	case monthly:
		from, _, err := report.ParseMonth(c.Calendar, text, c.billingDay)
		return from, err == nil && from.Year() >= 1970
	}
	return time.Time{}, false
}

// bars are the periods that a chart or a list divides time into.
type bars struct {
	period store.Period
	starts []time.Time // and behind the last one where it ends
}

// hours returns the last n hours, the present one included.
func (c calendar) hours(now time.Time, n int) bars {
	hour, _ := c.Hour(now)
	b := bars{period: store.ByHour}
	for i := 1 - n; i <= 1; i++ {
		t := time.Unix(int64(hour), 0).Add(time.Duration(i) * time.Hour)
		b.starts = append(b.starts, t.In(c.Location))
	}
	return b
}

// days returns the days of a span.
func (c calendar) days(from, to time.Time) bars {
	b := bars{period: store.ByDay}
	day := c.Day(from)
	for ; c.Start(day).Before(to); day++ {
		b.starts = append(b.starts, c.Start(day))
	}
	b.starts = append(b.starts, c.Start(day))
	return b
}

// lastDays returns the last n days, the present one included.
func (c calendar) lastDays(now time.Time, n int) bars {
	today := c.Day(now)
	return c.days(c.Start(today-usage.Day(n-1)), c.Start(today+1))
}

// lastMonths returns the last n calendar months, the present one included.
func (c calendar) lastMonths(now time.Time, n int) bars {
	month := c.Day(now).Month()
	b := bars{period: store.ByMonth}
	for i := 1 - n; i <= 1; i++ {
		b.starts = append(b.starts, c.Start((month + usage.Month(i)).First()))
	}
	return b
}

// span returns the Span of all bars, for one device or, with "", for all.
func (b *bars) span(device string) store.Span {
	from, to := b.starts[0], b.starts[len(b.starts)-1]
	return store.Span{From: from, To: to, Device: device, Period: b.period}
}

// index returns which bar a time is in, and whether it is in one.
func (b *bars) index(t time.Time) (int, bool) {
	for i := range len(b.starts) - 1 {
		if !t.Before(b.starts[i]) && t.Before(b.starts[i+1]) {
			return i, true
		}
	}
	return 0, false
}

// hoursOf returns the hours of a window: 23 or 25 on a day on which clocks are set.
func (c calendar) hoursOf(w window) bars {
	b := bars{period: store.ByHour}
	for t := w.From; t.Before(w.To); t = t.Add(time.Hour) {
		b.starts = append(b.starts, t)
	}
	b.starts = append(b.starts, w.To)
	return b
}
