package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// DestinationRow is what a device exchanged with one destination. Its days are whole.
type DestinationRow struct {
	Start  time.Time
	Device string
	Name   string // of the device
	usage.Destination
	usage.DestinationUsage
	// New: the device has not exchanged anything with the address on the days before the
	// span, of those that are kept.
	New bool
}

// Destinations returns usage by destination, by time and then the largest first. A row without
// an address has what is not among the largest of its day, and what the device moved since
// destinations were written last. Days are whole: ByHour counts as ByDay.
func (r *Reader) Destinations(ctx context.Context, s Span) ([]DestinationRow, error) {
	var all []DestinationRow
	err := r.EachDestination(ctx, s, func(row *DestinationRow) error {
		all = append(all, *row)
		return nil
	})
	return all, err
}

// EachDestination calls fn with each row that Destinations returns. The row is valid until fn
// returns.
func (r *Reader) EachDestination(ctx context.Context, s Span,
	fn func(*DestinationRow) error) error {
	if !s.From.Before(s.To) {
		return nil
	}
	if s.Period == ByHour {
		s.Period = ByDay
	}
	return query(ctx, r.db, func(scan scanner) error {
		var row DestinationRow
		var remote string
		err := scan(slices.Concat([]any{start{r, s, &row.Start}, &row.Device, &row.Name,
			&remote, &row.Protocol, &row.Port, &row.Inbound}, usageTargets(&row.Usage),
			[]any{&row.UpContacts, &row.DownContacts, second{&row.First}, second{&row.Last},
				&row.New})...)
		if err != nil {
			return err
		}
		parseAddr(&row.Remote)(remote)
		row.Destination.Device, row.Day = row.Device, r.calendar.Day(row.Start)
		return fn(&row)
	}, destinationQuery(s), r.bounds(s)...)
}

func destinationQuery(s Span) string {
	period := [...]string{Whole: "0", ByDay: "day", ByMonth: monthOf("day")}[s.Period]
	columns := destinationColumns()
	device := ""
	if s.Device != "" {
		device = " AND device = (SELECT id FROM device WHERE device.device = :device)"
	}
	var unknown []string
	for _, c := range devices().columns {
		if strings.HasSuffix(c, "bytes") {
			unknown = append(unknown, "total("+c+") > 0")
		}
	}
	// A row is marked after its rank is known, unless the rank is that among new ones: to mark
	// a row costs as much as to read it.
	steps := []string{"ranked", "marked"}
	filter := map[string]string{}
	if s.Limit > 0 {
		filter["ranked"] = fmt.Sprintf(" WHERE rank <= %d", s.Limit)
	}
	if s.OnlyNew {
		slices.Reverse(steps)
		filter["marked"] = " WHERE new"
	}
	// The days before the span are asked one by one, the latest first: the rows of one day are in
	// the order of devices and addresses.
	return fmt.Sprintf(`
		WITH RECURSIVE days(day) AS (
			SELECT max(day) FROM destination_day WHERE day < :from_day
			UNION ALL
			SELECT (SELECT max(d.day) FROM destination_day d WHERE d.day < days.day)
			FROM days WHERE days.day IS NOT NULL
		),
		chosen AS (
			SELECT day, device, remote, protocol, port, inbound, %[1]s, first, last
			FROM destination_rows WHERE day BETWEEN :from_day AND :last_day%[2]s
			UNION ALL
			-- As the view destination_unknown, which would read all days.
			SELECT day, device, '', 0, 0, 0, %[3]s, 0, 0, NULL, NULL FROM (
				SELECT day, device, %[14]s FROM device_by_day
				WHERE day BETWEEN :from_day AND :last_day%[2]s
				UNION ALL
				SELECT day, device, %[15]s FROM destination_rows
				WHERE day BETWEEN :from_day AND :last_day%[2]s
			)
			GROUP BY day, device HAVING day >= (
				SELECT min(day) FROM (SELECT min(day) AS day FROM destination_day
				UNION ALL SELECT min(day) FROM destination)) AND (%[16]s)
		),
		grouped AS (
			SELECT %[4]s AS start, device, remote, protocol, port, inbound, %[5]s,
				min(nullif(first, 0)) AS first, max(last) AS last
			FROM chosen GROUP BY 1, 2, 3, 4, 5, 6
		),
		%[7]s AS (SELECT * FROM (%[8]s)%[9]s),
		%[10]s AS (SELECT * FROM (%[11]s)%[12]s)
		SELECT u.start, n.device, n.name, u.remote, u.protocol, u.port, u.inbound, %[6]s,
			u.first, u.last, u.new
		FROM %[10]s u JOIN device n ON n.id = u.device
		ORDER BY u.start, %[13]s DESC, u.device, u.remote, u.port, u.protocol, u.inbound`,
		list(columns, "%"), device,
		list(devices().columns, "CAST(max(0, total(%)) AS INTEGER) AS %"), period, sums(columns),
		list(columns, "u.%"),
		steps[0], destinationStep(steps[0], "grouped"), filter[steps[0]],
		steps[1], destinationStep(steps[1], steps[0]), filter[steps[1]], destinationSize,
		list(devices().columns, "%"), list(devices().columns, "-%"),
		strings.Join(unknown, " OR "))
}

const destinationSize = "up_bytes + down_bytes + lan_up_bytes + lan_down_bytes"

// destinationStep returns the rows of from with one more column: rank, or new.
func destinationStep(step, from string) string {
	if step == "ranked" {
		return "SELECT *, row_number() OVER (PARTITION BY start ORDER BY " + destinationSize +
			" DESC) AS rank FROM " + from
	}
	return `SELECT *, u.remote <> ''
		AND (u.device, u.remote) NOT IN (
			SELECT device, remote FROM destination WHERE day < :from_day)
		AND NOT EXISTS (
			SELECT 1 FROM days CROSS JOIN destination_day o ON o.day = days.day
			AND o.device = u.device AND o.remote = u.remote) AS new
		FROM ` + from + " u"
}
