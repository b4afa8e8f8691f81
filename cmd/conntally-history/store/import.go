package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// ImportRow is one row of another program's history, or of an export of ours.
type ImportRow struct {
	Period Period // ByHour, ByDay or ByMonth
	Start  time.Time
	usage.Device
	usage.Usage
}

// Import adds usage that was counted elsewhere, all of it or, with an error, nothing; it returns
// how many rows were new. It replaces nothing and adds to nothing that is there already: an hour
// of a device is left out if the device has that hour, or its day or month as a whole; a day if
// it has the day, or an hour of it, or its month; a month if it has anything in that month. So
// importing twice adds nothing. Of the rows themselves, hours come first, then days, then
// months. What is known of a device that exists stays as it is.
func (s *Store) Import(ctx context.Context, rows []ImportRow) (added int, err error) {
	for i := range rows {
		if p := rows[i].Period; p != ByHour && p != ByDay && p != ByMonth {
			return 0, fmt.Errorf("row %d: neither an hour nor a day nor a month", i+1)
		}
	}
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b ImportRow) int { return cmp.Compare(a.Period, b.Period) })
	err = s.inTransaction(ctx, func(tx *sql.Tx) error {
		w := newWriter(ctx, tx, s.options)
		defer w.close()
		added = 0
		for i := range rows {
			if w.importRow(&rows[i]) {
				added++
			}
		}
		return w.err
	})
	if err != nil {
		return 0, err
	}
	return added, nil
}

func (w *writer) importRow(row *ImportRow) bool {
	if w.err != nil {
		return false
	}
	hour, day := w.options.Calendar.Hour(row.Start)
	month := day.Month()
	id, known := w.number("SELECT id FROM device WHERE device = ?", clip(row.ID))
	if known && w.has(row.Period, hour, day, month, id) {
		return false
	}
	if !known {
		w.device(&row.Device)
		own := false
		if id, own = w.ownDeviceID(row.ID); !own && w.err == nil {
			w.err = fmt.Errorf("%q: the database has no room for another device", clip(row.ID))
		}
	}
	values := usageValues(row.Usage)
	switch row.Period {
	case ByHour:
		w.hour(hour, day)
		w.add(devices(), hour, id, values)
	case ByDay:
		w.insert("day", int64(day), id, values)
	case ByMonth:
		w.insert("month", int64(month), id, values)
	}
	return w.err == nil
}

func (w *writer) insert(period string, start, device int64, values []any) {
	columns := devices().columns
	w.exec(fmt.Sprintf("INSERT INTO device_%[1]s (%[1]s, device, %[2]s) VALUES (%[3]s)", period,
		list(columns, "%"), placeholders(2+len(columns))), append([]any{start, device}, values...)...)
}

// has reports whether a device has anything that an imported row would count again.
func (w *writer) has(p Period, hour usage.Hour, day usage.Day, month usage.Month,
	device int64) bool {
	hours, from, to := "h.hour = ?2", day, day
	if p != ByHour {
		hours = "h.day BETWEEN ?3 AND ?4"
	}
	if p == ByMonth {
		from, to = month.First(), (month+1).First()-1
	}
	_, found := w.number(`SELECT 1 WHERE
		EXISTS (SELECT 1 FROM hour h
			JOIN device_hour u ON u.id = (h.hour / 900 << 22) + ?1 WHERE `+hours+`)
		OR EXISTS (SELECT 1 FROM device_day WHERE device = ?1 AND day BETWEEN ?3 AND ?4)
		OR EXISTS (SELECT 1 FROM device_month WHERE device = ?1 AND month = ?5)`,
		device, int64(hour), int64(from), int64(to), int64(month))
	return found
}
