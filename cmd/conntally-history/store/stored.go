package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// EachStored calls fn with each row of devices that a span selects as it is kept: first those
// that are kept by hour, then by day, then by month. Together they are all that is known, each
// byte once: they are one snapshot of the database, whatever Prune moves meanwhile. Its log isn't
// reused until EachStored returns. The span's Period doesn't matter. The row is valid until fn
// returns.
func (r *Reader) EachStored(ctx context.Context, s Span, fn func(*ImportRow) error) error {
	if !s.From.Before(s.To) {
		return nil
	}
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	tables := []struct {
		period        Period
		column, where string
	}{
		{ByHour, "hour", "u.hour >= :from_hour AND u.hour < :to"},
		{ByDay, "day", "u.day BETWEEN :from_day AND :last_day"},
		{ByMonth, "month", "u.month BETWEEN :from_month AND :last_month"},
	}
	for _, t := range tables {
		s.Period = t.period
		err := query(ctx, tx, func(scan scanner) error {
			row := ImportRow{Period: t.period}
			if err := scan(slices.Concat([]any{start{r, s, &row.Start}},
				usageTargets(&row.Usage), deviceTargets(&row.Device))...); err != nil {
				return err
			}
			return fn(&row)
		}, deviceSeen+fmt.Sprintf(` SELECT u.%[1]s, %[2]s, %[3]s FROM device_%[1]s u
			JOIN device n ON n.id = u.device
			WHERE %[4]s AND (:device = '' OR n.device = :device) ORDER BY u.%[1]s, n.id`,
			t.column, list(devices().columns, "u.%"), deviceColumns, t.where), r.bounds(s)...)
		if err != nil {
			return err
		}
	}
	return nil
}
