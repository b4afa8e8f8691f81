package web

import (
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// TestWindowsNameThemselves: the address of a window leads to the same one, in any zone, and
// the next begins where it ends.
func TestWindowsNameThemselves(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "UTC"} {
		place, err := time.LoadLocation(zone)
		if err != nil {
			t.Skip(err)
		}
		for _, billingDay := range []int{1, 15, 31} {
			c := calendar{usage.Calendar{Location: place}, billingDay}
			for _, u := range []unit{hourly, daily, monthly} {
				start := time.Date(2026, 1, 30, 23, 10, 0, 0, place)
				for at := start; at.Before(start.AddDate(1, 0, 0)); at = at.Add(13*time.Hour + 17*time.Minute) {
					checkWindow(t, c, u, at)
				}
			}
		}
	}
}

func checkWindow(t *testing.T, c calendar, u unit, at time.Time) {
	t.Helper()
	w := c.window(u, at, at)
	if at.Before(w.From) || !at.Before(w.To) || !w.Current {
		t.Fatalf("%v isn't in its %s %v to %v", at, u, w.From, w.To)
	}
	again, ok := c.parseAt(u, w.At)
	if !ok {
		t.Fatalf("%q is no %s", w.At, u)
	}
	if v := c.window(u, again, at); v != w {
		t.Fatalf("%q leads to %+v, not to %+v", w.At, v, w)
	}
	if next := c.window(u, w.To, at); !next.From.Equal(w.To) || next.Current {
		t.Fatalf("after %v comes %v", w.To, next.From)
	}
}

// TestBarsDivideTime: each hour, day or month once, also when clocks are set.
func TestBarsDivideTime(t *testing.T) {
	c := calendar{usage.Calendar{Location: berlin(t)}, 1}
	for day, want := range map[string]int{"2026-10-25": 25, "2026-03-29": 23, "2026-11-29": 24} {
		at, _ := c.parseAt(daily, day)
		b := c.hoursOf(c.window(daily, at, at))
		if len(b.starts)-1 != want {
			t.Errorf("%s: %d hours, want %d", day, len(b.starts)-1, want)
		}
	}
	now := time.Date(2026, 10, 25, 12, 0, 0, 0, berlin(t))
	for name, b := range map[string]bars{
		"hours": c.hours(now, 24), "days": c.lastDays(now, 24), "months": c.lastMonths(now, 24),
	} {
		if len(b.starts) != 25 || !b.starts[24].After(now) || b.starts[23].After(now) {
			t.Errorf("%s: %d from %v to %v", name, len(b.starts), b.starts[0], b.starts[len(b.starts)-1])
		}
		for i := range 24 {
			if got, ok := b.index(b.starts[i+1].Add(-time.Second)); !ok || got != i {
				t.Errorf("%s: the end of %d is in %d", name, i, got)
			}
		}
		if _, ok := b.index(b.starts[24]); ok {
			t.Errorf("%s: the end is in it", name)
		}
	}
}
