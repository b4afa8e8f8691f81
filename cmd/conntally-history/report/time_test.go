package report

import (
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
)

func TestTimesOfTheCommandLine(t *testing.T) {
	c := zone(t, "Europe/Berlin")
	now := time.Date(2026, 11, 29, 15, 4, 5, 0, c.Location)
	for in, want := range map[string][2]string{
		"now":                  {"2026-11-29T15:04:05+01:00", "2026-11-29T15:04:05+01:00"},
		"today":                {"2026-11-29T00:00:00+01:00", "2026-11-30T00:00:00+01:00"},
		"yesterday":            {"2026-11-28T00:00:00+01:00", "2026-11-29T00:00:00+01:00"},
		"2026-11-01":           {"2026-11-01T00:00:00+01:00", "2026-11-02T00:00:00+01:00"},
		"2026-10-25":           {"2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"},
		"2026-12":              {"2026-12-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"},
		"2026-11-29T10:00":     {"2026-11-29T10:00:00+01:00", "2026-11-29T10:00:00+01:00"},
		"2026-11-29 10:00":     {"2026-11-29T10:00:00+01:00", "2026-11-29T10:00:00+01:00"},
		"2026-11-29T10:00:00Z": {"2026-11-29T11:00:00+01:00", "2026-11-29T11:00:00+01:00"},
		"7d":                   {"2026-11-22T15:04:05+01:00", "2026-11-22T15:04:05+01:00"},
		"12h":                  {"2026-11-29T03:04:05+01:00", "2026-11-29T03:04:05+01:00"},
		"6w":                   {"2026-10-18T15:04:05+02:00", "2026-10-18T15:04:05+02:00"},
	} {
		start, end, err := ParseTime(c, in, now)
		got := [2]string{start.Format(time.RFC3339), end.Format(time.RFC3339)}
		if err != nil || got != want {
			t.Errorf("%s: %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "d", "-1d", "+1d", "1y", "2026-13", "2026-02-30", "99999999d",
		"10:00", "tomorrow", "1.5d"} {
		if start, _, err := ParseTime(c, in, now); err == nil {
			t.Errorf("%q is %v", in, start)
		}
	}
}

func TestBillingMonths(t *testing.T) {
	c := zone(t, "Europe/Berlin")
	for _, x := range []struct {
		at       string
		day      int
		from, to string
	}{
		{"2026-11-29", 1, "2026-11-01", "2026-12-01"},
		{"2026-11-14", 15, "2026-10-15", "2026-11-15"},
		{"2026-11-15", 15, "2026-11-15", "2026-12-15"},
		{"2027-01-14", 15, "2026-12-15", "2027-01-15"},
		{"2027-02-27", 31, "2027-01-31", "2027-02-28"},
		{"2027-02-28", 31, "2027-02-28", "2027-03-31"},
		{"2028-02-29", 30, "2028-02-29", "2028-03-30"},
		{"2026-12-31", 31, "2026-12-31", "2027-01-31"},
	} {
		at, _ := time.ParseInLocation(time.DateOnly, x.at, c.Location)
		from, to := BillingMonth(c, at, x.day)
		if from.Format(time.DateOnly) != x.from || to.Format(time.DateOnly) != x.to {
			t.Errorf("%s, day %d: %v to %v, want %s to %s", x.at, x.day, from, to, x.from, x.to)
		}
	}
}

// TestDaysWithoutMidnight: a day or month begins with its first moment, where clocks skip midnight.
func TestDaysWithoutMidnight(t *testing.T) {
	for _, x := range []struct{ zone, day, start string }{
		{"Atlantic/Azores", "2026-03-29", "2026-03-29T01:00:00Z"},
		{"America/Havana", "2026-03-08", "2026-03-08T01:00:00-04:00"},
		{"America/Santiago", "2026-09-06", "2026-09-06T01:00:00-03:00"},
	} {
		c := zone(t, x.zone)
		day, _ := time.Parse(time.DateOnly, x.day)
		first, _ := time.Parse(time.RFC3339, x.start)
		start := first.In(c.Location)
		yesterday := start.Add(23*time.Hour + 30*time.Minute) // at half past midnight
		for text, now := range map[string]time.Time{
			x.day: start, "today": start.Add(time.Hour), "yesterday": yesterday,
		} {
			if from, _, err := ParseTime(c, text, now); err != nil || !from.Equal(start) {
				t.Errorf("%s: %s is from %v, %v; want %v", x.zone, text, from, err, start)
			}
		}
		before := day.AddDate(0, 0, -1).Format(time.DateOnly)
		if _, to, err := ParseTime(c, before, start); err != nil || !to.Equal(start) {
			t.Errorf("%s: %s is to %v, %v; want %v", x.zone, before, to, err, start)
		}
		if from, _ := BillingMonth(c, start, day.Day()); !from.Equal(start) {
			t.Errorf("%s: the billing month is from %v, want %v", x.zone, from, start)
		}
		if from, _, err := ParseMonth(c, x.day[:7], day.Day()); err != nil || !from.Equal(start) {
			t.Errorf("%s: %s is from %v, %v; want %v", x.zone, x.day[:7], from, err, start)
		}
	}
}

// TestBillingMonthsFollowEachOther: each moment is in exactly one.
func TestBillingMonthsFollowEachOther(t *testing.T) {
	c := zone(t, "America/New_York")
	for day := 1; day <= 31; day++ {
		_, end := BillingMonth(c, time.Date(2023, 12, 1, 0, 0, 0, 0, c.Location), day)
		for range 60 {
			from, to := BillingMonth(c, end, day)
			if !from.Equal(end) || !to.After(from) {
				t.Fatalf("day %d: after %v comes %v to %v", day, end, from, to)
			}
			if before, _ := BillingMonth(c, to.Add(-time.Nanosecond), day); !before.Equal(from) {
				t.Fatalf("day %d: the end of %v is in %v", day, from, before)
			}
			end = to
		}
	}
}

func TestQueriesThatMakeNoSense(t *testing.T) {
	c := zone(t, "UTC")
	month := queries(c)["device"]
	for want, change := range map[string]func(*Query){
		"a report from 2026-12-01 on has to end later": func(q *Query) {
			q.From, q.To = q.To, q.From
		},
		"a report by port has no hours: destinations are kept by day": func(q *Query) {
			q.By, q.Period = Port, store.ByHour
		},
		"only destinations are new: add --by destination": func(q *Query) { q.New = true },
		"a report by service has no devices": func(q *Query) {
			q.By, q.Device = Service, "tv"
		},
	} {
		q := month
		change(&q)
		if err := q.Check(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"7d", "2026-11", "2026-11-29T10:00", "yesterday"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 29, 15, 4, 5, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		c := zone(t, "Europe/Berlin")
		start, end, err := ParseTime(c, text, now)
		if err == nil && end.Before(start) {
			t.Errorf("%q: %v to %v", text, start, end)
		}
	})
}
