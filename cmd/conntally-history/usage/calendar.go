package usage

import "time"

// Calendar divides time into hours, days and months of a place.
type Calendar struct{ Location *time.Location }

// Hour returns the hour that t is in, and its day. Where clocks are set back, the two hours of
// the same name are two hours. Where they are set by half an hour, an hour begins with that.
func (c Calendar) Hour(t time.Time) (Hour, Day) {
	t = t.In(c.Location)
	start := t.Add(-time.Duration(t.Minute())*time.Minute -
		time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	_, offset := t.Zone()
	if _, before := start.Zone(); before != offset {
		start, _ = t.ZoneBounds()
	}
	return Hour(start.Unix()), dayOf(start)
}

// Day returns the day that t is in.
func (c Calendar) Day(t time.Time) Day { return dayOf(t.In(c.Location)) }

// Start returns when a day begins: not always at midnight, as clocks are set at midnight in some
// places. A day that a place has left out begins with the next.
func (c Calendar) Start(d Day) time.Time {
	const step = 15 * time.Minute // what all clocks are set by is a multiple of it
	u := d.date()
	t := time.Date(u.Year(), u.Month(), u.Day(), 0, 0, 0, 0, c.Location)
	for c.Day(t) < d {
		t = t.Add(step)
	}
	for c.Day(t.Add(-step)) >= d {
		t = t.Add(-step)
	}
	return t
}

// Date returns when the day begins that time.Date would name: the month and day may be beyond
// their ranges.
func (c Calendar) Date(year int, month time.Month, day int) time.Time {
	return c.Start(dayOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC)))
}

func dayOf(t time.Time) Day {
	return Day(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func (d Day) date() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// Month returns the month that a day is in.
func (d Day) Month() Month {
	u := d.date()
	return Month(u.Year()*12 + int(u.Month()) - 1)
}

// String returns a day as 2006-01-02.
func (d Day) String() string { return d.date().Format("2006-01-02") }

// First returns the first day of a month.
func (m Month) First() Day {
	return dayOf(time.Date(int(m)/12, time.Month(int(m)%12+1), 1, 0, 0, 0, 0, time.UTC))
}

// String returns a month as 2006-01.
func (m Month) String() string { return m.First().date().Format("2006-01") }
