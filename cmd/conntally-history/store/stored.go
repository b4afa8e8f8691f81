package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// EachStored calls fn with each row of devices that a span selects as it is kept: first those
// that are kept by hour, then by day, then by month. Together they are all that is known, each
// byte once. What was counted after its day or month was moved is part of that row, since Import
// takes a day of a device or hours of it, not both. The rows are one snapshot of the database,
// whatever Prune moves meanwhile; its log isn't reused until EachStored returns. The span's Period
// doesn't matter. The row is valid until fn returns.
func (r *Reader) EachStored(ctx context.Context, s Span, fn func(*ImportRow) error) error {
	if !s.From.Before(s.To) {
		return nil
	}
	tx, err := r.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	for _, t := range storedRows() {
		s.Period = t.period
		err := query(ctx, tx, func(scan scanner) error {
			row := ImportRow{Period: t.period}
			if err := scan(slices.Concat([]any{start{r, s, &row.Start}},
				usageTargets(&row.Usage), deviceTargets(&row.Device))...); err != nil {
				return err
			}
			return fn(&row)
		}, deviceSeen+fmt.Sprintf(` SELECT u.start, %s, %s FROM (%s) u JOIN device n ON n.id = u.device
			WHERE :device = '' OR n.device = :device ORDER BY u.start, n.id`,
			list(devices().columns, "u.%"), deviceColumns, t.rows), r.bounds(s)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// stored selects the rows of a period: their start, device and the columns of devices.
type stored struct {
	period Period
	rows   string
}

func storedRows() []stored {
	inDay := "EXISTS (SELECT 1 FROM device_day k WHERE k.day = u.day AND k.device = u.device)"
	inMonth := "EXISTS (SELECT 1 FROM device_month k WHERE k.month = " + monthOf("u.day") +
		" AND k.device = u.device)"
	f := devices()
	return []stored{
		{ByHour, fmt.Sprintf(`SELECT hour AS start, device, %s
			FROM (SELECT u.*, h.day FROM device_hour u JOIN hour h ON h.hour = u.hour) u
			WHERE hour >= :from_hour AND hour < :to AND NOT %s AND NOT %s`,
			list(f.columns, "%"), inDay, inMonth)},
		{ByDay, fmt.Sprintf(`SELECT day AS start, device, %s FROM device_by_day u
			WHERE day BETWEEN :from_day AND :last_day AND %s AND NOT %s GROUP BY day, device`,
			sums(f.columns), inDay, inMonth)},
		{ByMonth, fmt.Sprintf(`SELECT month AS start, device, %s FROM device_by_month u
			WHERE month BETWEEN :from_month AND :last_month AND EXISTS (SELECT 1 FROM device_month k
				WHERE k.month = u.month AND k.device = u.device) GROUP BY month, device`,
			sums(f.columns))},
	}
}
