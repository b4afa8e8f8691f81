package store

import (
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// TestTotalsAreTheSumsOfDevices: by each period, also once hours have become days and days
// months.
func TestTotalsAreTheSumsOfDevices(t *testing.T) {
	s := openNew(t)
	for i := range 30 {
		at := noon().AddDate(0, 0, -7*i)
		write(t, s, batchAt(s, at, "one", uint64(i)+1), batchAt(s, at.Add(time.Hour), "two", 1000))
	}
	for range 2 {
		for _, period := range []Period{Whole, ByHour, ByDay, ByMonth} {
			span := Span{From: noon().AddDate(-1, 0, 0), To: noon().AddDate(0, 0, 1), Period: period}
			checkTotals(t, s, span)
		}
		if err := s.Prune(t.Context(), noon().AddDate(0, 0, 200)); err != nil {
			t.Fatal(err)
		}
	}
	span := Span{From: noon(), To: noon()}
	if rows, err := s.Reader().Totals(t.Context(), span); err != nil || len(rows) != 0 {
		t.Errorf("of no time: %v %v", rows, err)
	}
}

func checkTotals(t *testing.T, s *Store, span Span) {
	t.Helper()
	devices, err := s.Reader().Devices(t.Context(), span)
	if err != nil {
		t.Fatal(err)
	}
	want := map[int64]usage.Usage{}
	for i := range devices {
		sum := want[devices[i].Start.Unix()]
		sum.Add(devices[i].Usage)
		want[devices[i].Start.Unix()] = sum
	}
	totals, err := s.Reader().Totals(t.Context(), span)
	if err != nil {
		t.Fatal(err)
	}
	if len(totals) != len(want) || span.Period == Whole && len(totals) != 1 {
		t.Errorf("period %d: %d rows, want %d", span.Period, len(totals), len(want))
	}
	for _, row := range totals {
		if row.Usage != want[row.Start.Unix()] || row.Usage == (usage.Usage{}) {
			t.Errorf("period %d, %v: %+v, want %+v", span.Period, row.Start, row.Usage,
				want[row.Start.Unix()])
		}
	}
	if !slices.IsSortedFunc(totals, func(a, b TotalRow) int { return a.Start.Compare(b.Start) }) {
		t.Errorf("period %d: not by time: %v", span.Period, totals)
	}
}
