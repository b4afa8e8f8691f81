package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// mostRuns is how many runs are kept, so that a program that is started again and again does
// not fill the file.
const mostRuns = 10000

// Prune moves and deletes what is older than it is kept for, and what is too large: each day
// once, at best after midnight. A file beyond MaxSize loses its oldest destinations first,
// then hours become days and days months, and at last the devices of old months "other".
func (s *Store) Prune(ctx context.Context, now time.Time) error {
	today := s.options.Calendar.Day(now)
	err := s.inTransaction(ctx, func(tx *sql.Tx) error {
		w := newWriter(ctx, tx, s.options)
		defer w.close()
		w.exec(`UPDATE device SET last = u.last FROM (
			SELECT device, max(last) AS last FROM device_hour GROUP BY device
		) u WHERE u.device = device.id AND u.last > device.last`)
		w.foldDestinations(today)
		w.moveHours(today - days(s.options.Hours) - 1)
		w.moveDays(today - days(s.options.Days) - 1)
		w.exec("DELETE FROM destination_day WHERE day < ?",
			int64(today-days(s.options.Destinations)))
		w.exec("DELETE FROM run WHERE ended < ? OR id <= (SELECT max(id) FROM run) - ?",
			now.Add(-kept(s.options.Days)).Unix(), mostRuns)
		w.deleteUnused(now)
		return w.err
	})
	if err != nil {
		return err
	}
	if err := s.shrink(ctx, today); err != nil {
		return err
	}
	return s.vacuum(ctx)
}

// kept is how long is meant by d, where 0 is for ever.
func kept(d time.Duration) time.Duration {
	if d == 0 {
		return 250 * 365 * 24 * time.Hour
	}
	return d
}

func days(d time.Duration) usage.Day { return usage.Day(kept(d) / (24 * time.Hour)) }

// moveHours moves hours up to and including those of the day last into days.
func (w *writer) moveHours(last usage.Day) {
	if _, found := w.number("SELECT 1 FROM hour WHERE day <= ? LIMIT 1", int64(last)); !found {
		return
	}
	for _, f := range families() {
		w.exec(fmt.Sprintf(`INSERT INTO %[1]s_day (day, %[1]s, %[2]s)
			SELECT h.day, u.%[1]s, %[3]s FROM %[1]s_hour u JOIN hour h ON h.hour = u.hour
			WHERE h.day <= ? GROUP BY h.day, u.%[1]s ON CONFLICT DO UPDATE SET %[4]s`,
			f.name, list(f.columns, "%"), sums(f.columns), added(f.name+"_day", f.columns)),
			int64(last))
	}
	w.exec(`DELETE FROM counted WHERE (id >> 22) * 900 IN (SELECT hour FROM hour WHERE day <= ?)`,
		int64(last))
	w.exec("DELETE FROM hour WHERE day <= ?", int64(last))
}

// moveDays moves days of whole months, all of whose days are up to last, into months.
func (w *writer) moveDays(last usage.Day) {
	end := (last + 1).Month().First() // exclusive
	w.moveHours(end - 1)
	for _, f := range families() {
		w.exec(fmt.Sprintf(`INSERT INTO %[1]s_month (month, %[1]s, %[2]s)
			SELECT %[3]s AS month, %[1]s, %[4]s FROM %[1]s_day WHERE day < ?
			GROUP BY 1, 2 ON CONFLICT DO UPDATE SET %[5]s`, f.name, list(f.columns, "%"),
			monthOf("day"), sums(f.columns), added(f.name+"_month", f.columns)), int64(end))
		w.exec("DELETE FROM "+f.name+"_day WHERE day < ?", int64(end))
	}
}

// deleteUnused deletes devices, exporters and services of which nothing is kept. A device that
// was seen in the last day may be about to have something.
func (w *writer) deleteUnused(now time.Time) {
	for _, f := range families() {
		also := ""
		args := []any{}
		if f.name == "device" {
			also = ` AND last < ? AND id NOT IN (SELECT device FROM destination)
				AND id NOT IN (SELECT device FROM destination_day)`
			args = append(args, now.Add(-24*time.Hour).Unix())
		}
		w.exec(fmt.Sprintf(`DELETE FROM %[1]s WHERE id NOT IN (SELECT %[1]s FROM %[1]s_hour)
			AND id NOT IN (SELECT %[1]s FROM %[1]s_day)
			AND id NOT IN (SELECT %[1]s FROM %[1]s_month)`+also, f.name), args...)
	}
}

// shrink deletes and moves the oldest until the file is below its largest size.
func (s *Store) shrink(ctx context.Context, today usage.Day) error {
	for s.options.MaxSize > 0 {
		size, err := s.used(ctx)
		if err != nil || size <= s.options.MaxSize {
			return err
		}
		var changed bool
		err = s.inTransaction(ctx, func(tx *sql.Tx) error {
			w := newWriter(ctx, tx, s.options)
			defer w.close()
			changed = w.shrinkOnce(today)
			return w.err
		})
		if err != nil || !changed {
			return err
		}
	}
	return nil
}

// used returns how large the file is without its free pages.
func (s *Store) used(ctx context.Context) (int64, error) {
	var pages int64
	err := s.db.QueryRowContext(ctx, `SELECT (p.page_count - f.freelist_count) * z.page_size
		FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size z`).Scan(&pages)
	return pages, err
}

// shrinkOnce takes the next step of those that Prune documents; false if there is none left.
func (w *writer) shrinkOnce(today usage.Day) bool {
	if day, found := w.number("SELECT min(day) FROM destination_day HAVING min(day) < ?",
		int64(today)); found {
		return w.exec("DELETE FROM destination_day WHERE day = ?", day) > 0
	}
	if day, found := w.number("SELECT min(day) FROM hour HAVING min(day) < ?",
		int64(today)); found {
		w.moveHours(usage.Day(day))
		return true
	}
	first := int64(today.Month().First())
	if day, found := w.number("SELECT min(day) FROM device_day HAVING min(day) < ?",
		first); found {
		w.moveDays((usage.Day(day).Month() + 1).First() - 1)
		return true
	}
	month, found := w.number(`SELECT min(u.month) FROM device_month u JOIN device n ON n.id = u.device
		WHERE n.device <> ? HAVING min(u.month) IS NOT NULL`, usage.Other)
	if !found {
		return false
	}
	w.mergeMonth(month)
	return true
}

// mergeMonth gives all of a month to the device "other".
func (w *writer) mergeMonth(month int64) {
	f := devices()
	other := w.deviceID(usage.Other)
	w.exec(fmt.Sprintf(`INSERT INTO device_month (month, device, %[1]s)
		SELECT month, ?1, %[2]s FROM device_month WHERE month = ?2 AND device <> ?1
		GROUP BY month ON CONFLICT DO UPDATE SET %[3]s`, list(f.columns, "%"), sums(f.columns),
		added("device_month", f.columns)), other, month)
	w.exec("DELETE FROM device_month WHERE month = ? AND device <> ?", month, other)
}

// leastFree is how many bytes must be free in the file before it is made smaller.
const leastFree = 8 << 20

// vacuum makes the file smaller once more than half of it is free, for example after MaxSize has
// been reduced, by rewriting it. Until then SQLite reuses the free pages. (A file that SQLite can
// shrink in place is larger, and each change writes a quarter more to it.)
func (s *Store) vacuum(ctx context.Context) error {
	var free, pages, size int64
	err := s.db.QueryRowContext(ctx, `SELECT freelist_count, page_count, page_size
		FROM pragma_freelist_count, pragma_page_count, pragma_page_size`).Scan(&free, &pages, &size)
	if err != nil || free*2 < pages || free*size < leastFree {
		return err
	}
	// Temporary files: the file need not fit into memory.
	_, err = s.db.ExecContext(ctx, `PRAGMA temp_store = FILE; VACUUM;
		PRAGMA wal_checkpoint(TRUNCATE)`)
	_, err2 := s.db.ExecContext(ctx, "PRAGMA temp_store = MEMORY")
	return errors.Join(err, err2)
}
