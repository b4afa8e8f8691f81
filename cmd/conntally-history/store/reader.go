package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Reader reads the database. Any goroutine may use it.
type Reader struct {
	db       *sql.DB
	path     string
	calendar usage.Calendar
}

// OpenReader opens a database that exists, to read it; another process may write it. There is
// none: the error wraps fs.ErrNotExist. It may not be read: fs.ErrPermission. It is of a newer
// version: ErrVersion.
func OpenReader(ctx context.Context, path string, c usage.Calendar) (*Reader, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	r, err := newReader(ctx, path, c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// newReader returns a Reader, which is nil with an error.
func newReader(ctx context.Context, path string, c usage.Calendar) (*Reader, error) {
	db, err := sql.Open("sqlite", fileURL(path, url.Values{
		"mode":          {"ro"},
		"_busy_timeout": {busyMillis},
		"_query_only":   {"1"},
		"_pragma":       {"cache_size(-256)"},
	}))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(2)
	db.SetConnMaxIdleTime(time.Minute) // gives memory back
	version, err := versionOf(ctx, db)
	if err == nil && version != len(steps()) {
		err = fmt.Errorf("the database is of version %d, this one knows %d: "+
			"conntally-history serve brings it up to date", version, len(steps()))
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Reader{db: db, path: path, calendar: c}, nil
}

// Close closes the database.
func (r *Reader) Close() error {
	if r == nil {
		return nil
	}
	return r.db.Close()
}

// Period divides a Span into rows.
type Period uint8

// The periods. Whole is one row for all of a span.
const (
	Whole Period = iota
	ByHour
	ByDay
	ByMonth
)

// Span selects rows by time, and by device if it isn't "". To is exclusive. Times that are not
// the start of an hour count as those of their hour, and of a day once only days are kept, and
// of a month once only months are. ByHour has nothing of what is kept by day only, ByDay nothing
// of what is kept by month only.
type Span struct {
	From, To time.Time
	Device   string // its ID
	Period   Period

	// For destinations alone: how many rows there are at most of each period, the largest,
	// which bounds the memory of a query (0: all), and whether only those that are New count.
	Limit   int
	OnlyNew bool
}

// DeviceRow is what one device moved in one period.
type DeviceRow struct {
	Start time.Time // of the period; of the span if it is Whole
	usage.Device
	usage.Usage
}

// ServiceRow is what one unit of systemd moved in one period.
type ServiceRow struct {
	Start time.Time
	Unit  string
	usage.Counters
}

// ExporterRow is what one exporter sent in one period.
type ExporterRow struct {
	Start time.Time
	usage.Exporter
	usage.Intake
}

// Devices returns usage by device, by time and then the largest first.
func (r *Reader) Devices(ctx context.Context, s Span) ([]DeviceRow, error) {
	var all []DeviceRow
	err := r.eachRow(ctx, devices(), s,
		"u.up_bytes + u.down_bytes + u.lan_up_bytes + u.lan_down_bytes", deviceColumns,
		func(scan scanner) error {
			var row DeviceRow
			err := scan(slices.Concat([]any{start{r, s, &row.Start}},
				usageTargets(&row.Usage), deviceTargets(&row.Device))...)
			all = append(all, row)
			return err
		})
	return all, err
}

// Services returns usage by service, by time and then the largest first.
func (r *Reader) Services(ctx context.Context, s Span) ([]ServiceRow, error) {
	var all []ServiceRow
	err := r.eachRow(ctx, services(), s, "u.up_bytes + u.down_bytes", "n.unit",
		func(scan scanner) error {
			var row ServiceRow
			err := scan(slices.Concat([]any{start{r, s, &row.Start}},
				counterTargets(&row.Counters), []any{&row.Unit})...)
			all = append(all, row)
			return err
		})
	return all, err
}

// Exporters returns what came, by time and then by exporter, the largest first.
func (r *Reader) Exporters(ctx context.Context, s Span) ([]ExporterRow, error) {
	var all []ExporterRow
	err := r.eachRow(ctx, exporters(), s, "u.bytes", "n.address, n.version, n.domain",
		func(scan scanner) error {
			var row ExporterRow
			err := scan(slices.Concat([]any{start{r, s, &row.Start}}, intakeTargets(&row.Intake),
				[]any{text(parseAddr(&row.Address)), &row.Version, &row.Domain})...)
			all = append(all, row)
			return err
		})
	return all, err
}

// eachRow calls fn with the rows of a family that a span selects: their start (see start), the
// family's columns, and those named of the table that describes it, n.
func (r *Reader) eachRow(ctx context.Context, f family, s Span, size, named string,
	fn func(scanner) error) error {
	if !s.From.Before(s.To) {
		return nil
	}
	where := ""
	if s.Device != "" && f.name == "device" {
		where = " WHERE n.device = :device"
	}
	return query(ctx, r.db, fn, fmt.Sprintf(deviceSeen+`SELECT u.start, %s, %s FROM (
			SELECT start, id, %s FROM (%s) GROUP BY start, id
		) u JOIN %s n ON n.id = u.id%s ORDER BY u.start, %s DESC, n.id`,
		list(f.columns, "u.%"), named, sums(f.columns), rowsOf(f, s.Period), f.name, where, size),
		r.bounds(s)...)
}

// rowsOf returns the SELECT of the rows of a family within the bounds of a span, as start, id
// and the family's columns. start is the hour, day or month, or 0 for the whole span.
func rowsOf(f family, p Period) string {
	hour := [...]string{Whole: "0", ByHour: "u.hour", ByDay: "h.day", ByMonth: monthOf("h.day")}
	day := [...]string{Whole: "0", ByDay: "u.day", ByMonth: monthOf("u.day")}
	month := [...]string{Whole: "0", ByMonth: "u.month"}
	columns := list(f.columns, "u.%")
	selects := []string{fmt.Sprintf(`SELECT %s AS start, u.%s AS id, %s
		FROM %s_hour u JOIN hour h ON h.hour = u.hour
		WHERE u.id >= (:from_hour / 900 << 22) AND u.id < ((:to + 899) / 900 << 22)`,
		hour[p], f.name, columns, f.name)}
	if p != ByHour {
		selects = append(selects, fmt.Sprintf(`SELECT %s, u.%s, %s FROM %s_day u
			WHERE u.day BETWEEN :from_day AND :last_day`, day[p], f.name, columns, f.name))
	}
	if p == Whole || p == ByMonth {
		selects = append(selects, fmt.Sprintf(`SELECT %s, u.%s, %s FROM %s_month u
			WHERE u.month BETWEEN :from_month AND :last_month`, month[p], f.name, columns, f.name))
	}
	return strings.Join(selects, " UNION ALL ")
}

// bounds returns the arguments of rowsOf and the other queries of a span.
func (r *Reader) bounds(s Span) []any {
	hour, from := r.calendar.Hour(s.From)
	last := r.calendar.Day(s.To.Add(-1))
	return []any{
		sql.Named("from_hour", int64(hour)), sql.Named("to", s.To.Add(time.Second-1).Unix()),
		sql.Named("from_day", int64(from)), sql.Named("last_day", int64(last)),
		sql.Named("from_month", int64(from.Month())), sql.Named("last_month", int64(last.Month())),
		sql.Named("device", s.Device),
	}
}

// start is a sql.Scanner of what rowsOf calls start.
type start struct {
	reader *Reader
	span   Span
	to     *time.Time
}

// Scan implements sql.Scanner.
func (s start) Scan(value any) error {
	n, _ := value.(int64)
	switch s.span.Period {
	case Whole:
		*s.to = s.span.From
	case ByHour:
		*s.to = time.Unix(n, 0).In(s.reader.calendar.Location)
	case ByDay:
		*s.to = s.reader.calendar.Start(usage.Day(n))
	case ByMonth:
		*s.to = s.reader.calendar.Start(usage.Month(n).First())
	}
	return nil
}

// deviceColumns are those of a device, n. When it was last seen is in its latest hours, and only
// once a day in its own row (Store.Write, Prune).
const (
	deviceColumns = "n.device, n.name, n.mac, n.vendor, n.addresses, n.first, " +
		"max(n.last, coalesce((SELECT last FROM seen WHERE seen.device = n.id), 0))"
	deviceSeen = `WITH seen(device, last) AS MATERIALIZED (
		SELECT device, max(last) FROM device_hour
		WHERE id >= ((SELECT max(hour) FROM hour) / 900 - 3 * 96) << 22 GROUP BY device) `
)

func deviceTargets(d *usage.Device) []any {
	return []any{&d.ID, &d.Name, &d.MAC, &d.Vendor, text(parseAddrs(&d.Addresses)),
		second{&d.First}, second{&d.Last}}
}

// eachDevice calls fn with each device that is known, and its row's ID.
func (r *Reader) eachDevice(ctx context.Context, fn func(int64, usage.Device) error) error {
	return query(ctx, r.db, func(scan scanner) error {
		var id int64
		var d usage.Device
		if err := scan(append([]any{&id}, deviceTargets(&d)...)...); err != nil {
			return err
		}
		return fn(id, d)
	}, deviceSeen+"SELECT n.id, "+deviceColumns+" FROM device n ORDER BY n.id")
}

// Lookup returns a device by its ID, name, MAC or one of its addresses, in this order.
func (r *Reader) Lookup(ctx context.Context, device string) (usage.Device, bool, error) {
	var found usage.Device
	addr, _ := netip.ParseAddr(device)
	best := 0
	err := r.eachDevice(ctx, func(_ int64, d usage.Device) error {
		rank := 0
		switch {
		case d.ID == device:
			rank = 4
		case strings.EqualFold(d.Name, device):
			rank = 3
		case strings.EqualFold(d.MAC, device) || strings.EqualFold(d.ID, device):
			rank = 2
		case addr.IsValid() && slices.Contains(d.Addresses, addr):
			rank = 1
		}
		// Of two devices with one name or address, the one that was seen last.
		if rank > best || rank > 0 && rank == best && d.Last.After(found.Last) {
			best, found = rank, d
		}
		return nil
	})
	return found, best > 0 && device != "", err
}

// Extent is what a database holds.
type Extent struct {
	First, Last time.Time // of the oldest and latest row of a device or service; zero: none
	Flushed     time.Time // when something was written last
	Size        int64     // bytes of its files
}

// Extent returns what the database holds. First is the start of an hour, day or month, Last
// the end of one.
func (r *Reader) Extent(ctx context.Context) (Extent, error) {
	var e Extent
	var firstHour, lastHour, firstDay, lastDay, firstMonth, lastMonth sql.NullInt64
	err := r.db.QueryRowContext(ctx, `SELECT
		(SELECT min(hour) FROM hour), (SELECT max(hour) FROM hour),
		(SELECT min(day) FROM (SELECT min(day) AS day FROM device_day
			UNION ALL SELECT min(day) FROM service_day)),
		(SELECT max(day) FROM (SELECT max(day) AS day FROM device_day
			UNION ALL SELECT max(day) FROM service_day)),
		(SELECT min(month) FROM (SELECT min(month) AS month FROM device_month
			UNION ALL SELECT min(month) FROM service_month)),
		(SELECT max(month) FROM (SELECT max(month) AS month FROM device_month
			UNION ALL SELECT max(month) FROM service_month)),
		max((SELECT coalesce(max(updated), 0) FROM exporter_hour WHERE sequenced),
			coalesce((SELECT updated FROM run ORDER BY id DESC LIMIT 1), 0))`).Scan(&firstHour, &lastHour,
		&firstDay, &lastDay, &firstMonth, &lastMonth, second{&e.Flushed})
	if err != nil {
		return e, err
	}
	span := func(first, end time.Time) {
		if e.First.IsZero() || first.Before(e.First) {
			e.First = first
		}
		e.Last = later(e.Last, end)
	}
	if firstHour.Valid {
		span(time.Unix(firstHour.Int64, 0), time.Unix(lastHour.Int64, 0).Add(time.Hour))
	}
	if firstDay.Valid {
		span(r.calendar.Start(usage.Day(firstDay.Int64)),
			r.calendar.Start(usage.Day(lastDay.Int64)+1))
	}
	if firstMonth.Valid {
		span(r.calendar.Start(usage.Month(firstMonth.Int64).First()),
			r.calendar.Start((usage.Month(lastMonth.Int64) + 1).First()))
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if info, err := os.Stat(r.path + suffix); err == nil {
			e.Size += info.Size()
		}
	}
	return e, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Losses returns what a span lacks.
func (r *Reader) Losses(ctx context.Context, from, to time.Time) (usage.Losses, error) {
	var l usage.Losses
	rows, err := r.Exporters(ctx, Span{From: from, To: to})
	if err != nil {
		return l, err
	}
	for _, row := range rows {
		l.Add(row.Intake)
	}
	err = query(ctx, r.db, func(scan scanner) error {
		var a usage.Absence
		if err := scan(second{&a.From}, second{&a.To}, &a.Crash); err != nil {
			return err
		}
		if a.To.IsZero() || a.To.After(to) { // it doesn't run
			a.To = to
		}
		a.From = later(a.From, from)
		if a.From.Before(a.To) {
			l.Absent = append(l.Absent, a)
		}
		return nil
	}, `SELECT * FROM (
			SELECT ended, lead(started) OVER (ORDER BY id), crashed FROM run ORDER BY id
		) WHERE ended IS NOT NULL`)
	return l, err
}
