package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// TotalRow is what all devices moved in one period.
type TotalRow struct {
	Start time.Time // of the period; of the span if it is Whole
	usage.Usage
}

// Totals returns the usage of all devices together, by time. Whatever the number of devices,
// there is one row for each period. What moved between two devices counts at both of them.
func (r *Reader) Totals(ctx context.Context, s Span) ([]TotalRow, error) {
	if !s.From.Before(s.To) {
		return nil, nil
	}
	var all []TotalRow
	f := devices()
	err := query(ctx, r.db, func(scan scanner) error {
		var row TotalRow
		err := scan(slices.Concat([]any{start{r, s, &row.Start}}, usageTargets(&row.Usage))...)
		all = append(all, row)
		return err
	}, fmt.Sprintf("SELECT start, %s FROM (%s) GROUP BY start ORDER BY start",
		sums(f.columns), rowsOf(f, s.Period)), r.bounds(s)...)
	return all, err
}
