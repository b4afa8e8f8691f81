package store

import (
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

func imported(p Period, start time.Time, device string, n uint64) ImportRow {
	return ImportRow{Period: p, Start: start, Device: usage.Device{ID: device, Name: "imported"},
		Usage: usage.Usage{WAN: usage.Counters{UpBytes: n}}}
}

func TestImportAddsWhatIsNotThere(t *testing.T) {
	today := noon()
	hour, yesterday, lastYear := -time.Hour, today.AddDate(0, 0, -1), today.AddDate(-1, 0, 0)
	monthEnd := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name  string
		row   ImportRow
		added bool
	}{
		// There: "a" today at noon, by hour; "d" by day a year ago, "m" by month.
		{"the same hour", imported(ByHour, today.Add(time.Minute), "a", 1), false},
		{"another hour of the day", imported(ByHour, today.Add(hour), "a", 1), true},
		{"the day of an hour", imported(ByDay, today, "a", 1), false},
		{"the day before", imported(ByDay, yesterday, "a", 1), true},
		{"the month of an hour", imported(ByMonth, monthEnd, "a", 1), false},
		{"the month before", imported(ByMonth, today.AddDate(0, -1, 0), "a", 1), true},
		{"another device", imported(ByHour, today, "b", 1), true},
		{"an hour of a day", imported(ByHour, lastYear.Add(hour), "d", 1), false},
		{"the same day", imported(ByDay, lastYear, "d", 1), false},
		{"the month of a day", imported(ByMonth, lastYear, "d", 1), false},
		{"an hour of a month", imported(ByHour, lastYear, "m", 1), false},
		{"a day of a month", imported(ByDay, lastYear, "m", 1), false},
		{"the same month", imported(ByMonth, lastYear, "m", 1), false},
		{"the next month by day", imported(ByDay, lastYear.AddDate(0, 1, 0), "m", 1), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := openNew(t)
			write(t, s, batchAt(s, today, "a", 100))
			added, err := s.Import(t.Context(), []ImportRow{imported(ByDay, lastYear, "d", 10),
				imported(ByMonth, lastYear, "m", 10)})
			if err != nil || added != 2 {
				t.Fatal(added, err)
			}
			before := total(t, s).WAN.UpBytes
			for n := range 2 { // the second time it is there
				added, err = s.Import(t.Context(), []ImportRow{test.row})
				if err != nil || (added == 1) != (test.added && n == 0) {
					t.Errorf("time %d: %d added, %v", n+1, added, err)
				}
			}
			want := before
			if test.added {
				want++
			}
			if got := total(t, s).WAN.UpBytes; got != want {
				t.Errorf("%d bytes, not %d", got, want)
			}
			if d, _, _ := s.Reader().Lookup(t.Context(), "a"); d.Name != "name of a" {
				t.Error("renamed:", d.Name)
			}
		})
	}
}

func TestTheSmallestPeriodsOfAnImportCount(t *testing.T) {
	s := openNew(t)
	rows := []ImportRow{imported(ByMonth, noon(), "a", 1000), imported(ByDay, noon(), "a", 100),
		imported(ByHour, noon(), "a", 10), imported(ByHour, noon().Add(time.Hour), "a", 5),
		imported(ByHour, noon(), "a", 10), imported(ByDay, noon().AddDate(0, 0, -1), "a", 70)}
	added, err := s.Import(t.Context(), rows)
	if err != nil || added != 3 {
		t.Error(added, err)
	}
	if got := total(t, s).WAN.UpBytes; got != 85 {
		t.Error(got)
	}
}

func TestAnImportIsWholeOrNotAtAll(t *testing.T) {
	s := openNew(t)
	_, err := s.Import(t.Context(), []ImportRow{imported(ByHour, noon(), "a", 1), {}})
	if err == nil || total(t, s) != (usage.Usage{}) {
		t.Error(err, total(t, s))
	}
}

func TestAnImportBesideARunningProgramBeginsNoRun(t *testing.T) {
	s := openNew(t)
	write(t, s, batchAt(s, noon(), "a", 1))
	o := testOptions(t)
	o.WithoutRun = true
	other := open(t, s.reader.path, noon(), o)
	if added, err := other.Import(t.Context(), []ImportRow{imported(ByHour, noon(), "b", 1)}); err != nil ||
		added != 1 {
		t.Error(added, err)
	}
	if err := other.Close(noon()); err != nil {
		t.Error(err)
	}
	write(t, s, batchAt(s, noon(), "a", 1))
	if rows(t, s, "run") != 1 || len(devicesOf(t, s, day(s, noon()))) != 2 {
		t.Error(rows(t, s, "run"), devicesOf(t, s, day(s, noon())))
	}
}
