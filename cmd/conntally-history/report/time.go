package report

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// BillingMonth returns the billing month that t is in. Such months begin on a day from 1 to
// 31, and where there is no such day, on the last of the month.
func BillingMonth(c usage.Calendar, t time.Time, day int) (from, to time.Time) {
	t = t.In(c.Location)
	from = billingStart(c, t.Year(), t.Month(), day)
	if from.After(t) {
		return billingStart(c, t.Year(), t.Month()-1, day), from
	}
	return from, billingStart(c, t.Year(), t.Month()+1, day)
}

// billingStart returns when the billing month begins that begins in a month.
func billingStart(c usage.Calendar, year int, month time.Month, day int) time.Time {
	last := time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return c.Date(year, month, min(day, last))
}

// ParseMonth returns the billing month that begins in a month such as "2026-11".
func ParseMonth(c usage.Calendar, text string, day int) (from, to time.Time, err error) {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return from, to, errors.New(`want a month such as "2026-11"`)
	}
	return billingStart(c, t.Year(), t.Month(), day), billingStart(c, t.Year(), t.Month()+1, day), nil
}

// ParseTime returns the span of time that text names: a month, a day, "today" or "yesterday"
// have a start and an end; "2026-11-29T10:00", "now", and "7d" or "12h", which are so long
// ago, are a moment.
func ParseTime(c usage.Calendar, text string, now time.Time) (start, end time.Time, err error) {
	now = now.In(c.Location)
	span := func(t time.Time, months, days int) (time.Time, time.Time, error) {
		return c.Date(t.Year(), t.Month(), t.Day()),
			c.Date(t.Year(), t.Month()+time.Month(months), t.Day()+days), nil
	}
	switch text {
	case "now":
		return now, now, nil
	case "today":
		return span(now, 0, 1)
	case "yesterday":
		today := c.Day(now)
		return c.Start(today - 1), c.Start(today), nil
	}
	if ago, ok := parseAgo(text, now); ok {
		return ago, ago, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, c.Location); err == nil {
			return t, t, nil
		}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.In(c.Location), t.In(c.Location), nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return span(t, 0, 1)
	}
	if t, err := time.Parse("2006-01", text); err == nil {
		return span(t, 1, 0)
	}
	return start, end, errors.New(`want a time such as "2026-11-29", "2026-11-29T10:00", ` +
		`"2026-11", "yesterday", "7d" or "12h" (so long ago)`)
}

// parseAgo returns the time that is as long ago as text says. Days and weeks end at the same
// time of day, whatever clocks did meanwhile.
func parseAgo(text string, now time.Time) (time.Time, bool) {
	const most = 100 * 366 // days
	if text == "" {
		return time.Time{}, false
	}
	n, err := strconv.Atoi(text[:len(text)-1])
	if err != nil || n < 0 || n > most || strings.HasPrefix(text, "+") {
		return time.Time{}, false
	}
	switch text[len(text)-1] {
	case 'h':
		return now.Add(-time.Duration(n) * time.Hour), true
	case 'd':
		return now.AddDate(0, 0, -n), true
	case 'w':
		return now.AddDate(0, 0, -7*n), true
	}
	return time.Time{}, false
}

// WholeDays returns the days that a span touches.
func WholeDays(c usage.Calendar, from, to time.Time) (start, end time.Time) {
	start, end = c.Start(c.Day(from)), c.Start(c.Day(to))
	if end.Before(to) {
		end = c.Start(c.Day(to) + 1)
	}
	return start, end
}

// WholeHour returns when the hour begins that t is in.
func WholeHour(c usage.Calendar, t time.Time) time.Time {
	hour, _ := c.Hour(t)
	return time.Unix(int64(hour), 0).In(c.Location)
}
