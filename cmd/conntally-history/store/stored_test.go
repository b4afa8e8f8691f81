package store

import (
	"database/sql"
	"maps"
	"testing"
	"time"
)

// TestAnExportIsOneSnapshot: hours that become a day while the export runs are not in it twice.
func TestAnExportIsOneSnapshot(t *testing.T) {
	s := openNew(t)
	write(t, s, batchAt(s, noon(), "a", 1), batchAt(s, noon().AddDate(0, 0, 1), "a", 10))
	later := noon().AddDate(1, 0, 0)
	pruned := false
	var up uint64
	err := s.Reader().EachStored(t.Context(), Span{From: noon().AddDate(-1, 0, 0), To: later},
		func(row *ImportRow) error {
			if !pruned {
				pruned = true
				prune(t, s, later)
			}
			up += row.WAN.UpBytes
			return nil
		})
	if err != nil || up != 11 {
		t.Errorf("%d bytes, want 11: %v", up, err)
	}
	if by := rows(t, s, "device_hour"); by != 0 {
		t.Errorf("%d hours are left: nothing was pruned", by)
	}
}

// TestAnExportWithLateUsageIsImportedWhole: a record that came once its day or month was moved has
// an hour of its own, which would keep the rest of the day from being imported.
func TestAnExportWithLateUsageIsImportedWhole(t *testing.T) {
	s := openNew(t)
	for _, at := range []time.Time{noon(), noon().AddDate(0, 0, -1), noon().AddDate(0, -2, 0)} {
		write(t, s, batchAt(s, at, "a", 10), batchAt(s, at.Add(time.Hour), "b", 100))
	}
	err := s.inTransaction(t.Context(), func(tx *sql.Tx) error {
		w := newWriter(t.Context(), tx, s.options)
		defer w.close()
		w.moveDays(s.options.Calendar.Day(noon().AddDate(0, -1, 0)))
		w.moveHours(s.options.Calendar.Day(noon()) - 1)
		return w.err
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, batchAt(s, noon().AddDate(0, 0, -1), "a", 1),
		batchAt(s, noon().AddDate(0, -2, 0), "a", 1), batchAt(s, noon().AddDate(0, -2, 1), "b", 1))
	if rows(t, s, "device_hour") != 5 || rows(t, s, "device_day") != 2 ||
		rows(t, s, "device_month") != 2 {
		t.Fatal("there are not the rows that the test is about")
	}

	var all []ImportRow
	ever := Span{From: noon().AddDate(-1, 0, 0), To: noon().AddDate(1, 0, 0)}
	err = s.Reader().EachStored(t.Context(), ever, func(row *ImportRow) error {
		all = append(all, *row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	to := openNew(t)
	added, err := to.Import(t.Context(), all)
	if err != nil || added != len(all) || added != 6 {
		t.Errorf("%d of %d rows, want all 6: %v", added, len(all), err)
	}
	if got, want := devicesOf(t, to, ever), devicesOf(t, s, ever); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
