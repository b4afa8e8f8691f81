package usage

import (
	"math/rand/v2"
	"testing"
	"time"
)

// zones are places whose clocks differ in how far they are from UTC, and in when and how far
// they are set.
func zones(t *testing.T) []*time.Location {
	t.Helper()
	var all []*time.Location
	for _, name := range []string{"UTC", "Europe/Berlin", "America/New_York", "America/St_Johns",
		"Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Australia/Eucla",
		"Pacific/Chatham", "America/Havana", "Africa/Cairo", "Asia/Beirut", "America/Asuncion",
		"Atlantic/Azores", "Pacific/Apia", "Africa/Casablanca", "America/Scoresbysund"} {
		l, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// moments are instants of 2012 to 2040, many of them near one at which clocks are set.
func moments(l *time.Location, random *rand.Rand, n int) (all []time.Time) {
	for range n {
		t := time.Unix(1325376000+random.Int64N(28*365*86400), random.Int64N(1e9)).In(l)
		if _, end := t.ZoneBounds(); !end.IsZero() && random.IntN(2) == 0 {
			t = end.Add(time.Duration(random.Int64N(int64(4*time.Hour))) - 2*time.Hour).In(l)
		}
		all = append(all, t)
	}
	return all
}

func TestHoursDivideTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, l := range zones(t) {
		c := Calendar{l}
		for _, at := range moments(l, random, 2000) {
			hour, day := c.Hour(at)
			start := time.Unix(int64(hour), 0)
			if start.After(at) || at.Sub(start) >= time.Hour {
				t.Errorf("%v is in the hour of %v", at, start.In(l))
			}
			if again, sameDay := c.Hour(start); again != hour || sameDay != day {
				t.Errorf("%v: the hour %v begins in that of %v", at, start.In(l),
					time.Unix(int64(again), 0).In(l))
			}
			if day != c.Day(at) {
				t.Errorf("%v is on %v, its hour on %v", at, c.Day(at), day)
			}
			if name := start.In(l).Format("15"); name != at.Format("15") {
				t.Errorf("%v is in hour %s", at, name)
			}
			// No moment of the hour before its start belongs to it, and the hours are in order.
			if before, _ := c.Hour(start.Add(-1)); before >= hour {
				t.Errorf("%v: the moment before %v is in hour %v", at, start.In(l), before)
			}
			if hour%900 != 0 {
				t.Errorf("%v: hour %d", at, hour)
			}
		}
	}
}

func TestDaysAreThoseOfTheCalendar(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, l := range zones(t) {
		c := Calendar{l}
		for _, at := range moments(l, random, 2000) {
			d := c.Day(at)
			if d.String() != at.Format("2006-01-02") {
				t.Errorf("%v is on %v", at, d)
			}
			start, end := c.Start(d), c.Start(d+1)
			if start.After(at) || !end.After(at) {
				t.Errorf("%v is not between %v and %v", at, start, end)
			}
			if c.Day(start) != d || c.Day(start.Add(-1)) >= d {
				t.Errorf("%v does not begin at %v", d, start)
			}
			if hour, _ := c.Hour(start); int64(hour) != start.Unix() {
				t.Errorf("%v begins within an hour, at %v", d, start)
			}
			if m := d.Month(); m.String() != at.Format("2006-01") || m.First() > d ||
				(m+1).First() <= d || m.First().Month() != m {
				t.Errorf("%v is in %v, of %v to %v", d, m, m.First(), (m + 1).First())
			}
		}
	}
}

func TestWhereClocksAreSet(t *testing.T) {
	for _, test := range []struct {
		zone, at, hour string
	}{
		// Back from 3:00 to 2:00: two hours of the same name.
		{"Europe/Berlin", "2026-10-25T00:59:59Z", "2026-10-25 02:00 +0200"},
		{"Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25 02:00 +0100"},
		// By half an hour, from 2:00 to 1:30.
		{"Australia/Lord_Howe", "2026-04-04T14:59:59Z", "2026-04-05 01:00 +1100"},
		{"Australia/Lord_Howe", "2026-04-04T15:10:00Z", "2026-04-05 01:30 +1030"},
		{"Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01 05:00 +0545"},
	} {
		l, err := time.LoadLocation(test.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, test.at)
		if err != nil {
			t.Fatal(err)
		}
		hour, _ := Calendar{l}.Hour(at)
		got := time.Unix(int64(hour), 0).In(l).Format("2006-01-02 15:04 -0700")
		if got != test.hour {
			t.Errorf("%s in %s: %s, not %s", test.at, test.zone, got, test.hour)
		}
	}
	apia, err := time.LoadLocation("Pacific/Apia") // which had no 2011-12-30
	if err != nil {
		t.Fatal(err)
	}
	c := Calendar{apia}
	left := c.Day(time.Date(2011, 12, 31, 12, 0, 0, 0, apia)) - 1
	if !c.Start(left).Equal(c.Start(left + 1)) {
		t.Error(c.Start(left), c.Start(left+1))
	}
}
