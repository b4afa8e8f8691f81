package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/transfer"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/command"
)

// spanFlags are --from and --to of export and import.
type spanFlags struct{ from, to string }

func bindSpan(fs *command.Flags) *spanFlags {
	f := &spanFlags{}
	fs.StringVar(&f.from, "from", "", "only from `TIME` on: 2026-11-29, 2026-11, 7d")
	fs.StringVar(&f.to, "to", "", "only until `TIME`; a day or month is included")
	return f
}

// span returns the time between the flags, in whole hours; without them, all.
func (f *spanFlags) span(in usage.Calendar, now time.Time) (from, to time.Time, err error) {
	from = time.Date(1970, 1, 2, 0, 0, 0, 0, in.Location)
	to = time.Date(9999, 12, 31, 0, 0, 0, 0, in.Location)
	if f.from != "" {
		if from, _, err = report.ParseTime(in, f.from, now); err != nil {
			return from, to, fmt.Errorf("--from %q: %w", f.from, err)
		}
		from = report.WholeHour(in, from)
	}
	if f.to != "" {
		if _, to, err = report.ParseTime(in, f.to, now); err != nil {
			return from, to, fmt.Errorf("--to %q: %w", f.to, err)
		}
	}
	if !from.Before(to) {
		return from, to, errors.New("--from is not before --to")
	}
	return from, to, nil
}

// exportKinds are what there is to export.
func exportKinds() []string { return []string{"usage", "destinations", "services"} }

// runExport is `conntally-history export`.
func runExport(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := command.NewFlags(name, "export", "print all that is kept, as CSV or JSON", stdout)
	database, span := bindDatabase(fs), bindSpan(fs)
	kind := ""
	fs.Take("[KIND]", &kind)
	asJSON := fs.Bool("json", false, "print one JSON object per row")
	asCSV := fs.Bool("csv", false, "print CSV, which is the default")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *asJSON && *asCSV {
		return command.UsageError("export: --json or --csv, not both")
	}
	calendar := usage.Calendar{Location: time.Local}
	from, to, err := span.span(calendar, time.Now())
	if err != nil {
		return command.UsageError("export: %w", err)
	}
	_, path, err := database.load()
	if err != nil {
		return err
	}
	e := exporter{out: stdout, json: *asJSON, calendar: calendar,
		span: store.Span{From: from, To: to, Period: store.ByDay}}
	write, found := map[string]func(context.Context, *store.Reader) error{
		"": e.usage, "usage": e.usage, "destinations": e.destinations, "services": e.services,
	}[kind]
	if !found {
		return command.UsageError("export %q: want usage, destinations or services", kind)
	}
	reader, err := openReader(ctx, path)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer reader.Close()
	if err := write(ctx, reader); err != nil {
		return fmt.Errorf("export: %w", err)
	}
	return nil
}

// exporter prints what is kept, row by row.
type exporter struct {
	out      io.Writer
	json     bool
	calendar usage.Calendar
	span     store.Span
}

// usage prints the rows of devices by hour, day or month, as they are kept.
func (e *exporter) usage(ctx context.Context, from *store.Reader) error {
	w := transfer.NewCSV(e.out)
	if e.json {
		w = transfer.NewJSON(e.out)
	}
	err := from.EachStored(ctx, e.span, w.Write)
	return errors.Join(err, w.Flush())
}

// destinations prints what devices exchanged with each destination, by day.
func (e *exporter) destinations(ctx context.Context, from *store.Reader) error {
	w := report.NewRowWriter(e.out, report.Destination, store.ByDay, e.json)
	err := from.EachDestination(ctx, e.span, func(d *store.DestinationRow) error {
		return w.Write(report.DestinationRow(d, e.calendar.Location))
	})
	return errors.Join(err, w.Flush())
}

// services prints what units of systemd moved, by day.
func (e *exporter) services(ctx context.Context, from *store.Reader) error {
	w := report.NewRowWriter(e.out, report.Service, store.ByDay, e.json)
	rows, err := from.Services(ctx, e.span)
	for i := range rows {
		if err == nil {
			err = w.Write(report.ServiceRow(&rows[i], e.calendar.Location))
		}
	}
	return errors.Join(err, w.Flush())
}

// importBatch is how many rows are added at once: serve waits no longer to write than that
// takes.
const importBatch = 5000

// runImport is `conntally-history import`.
func runImport(ctx context.Context, args []string, stdout, _ io.Writer) error {
	fs := command.NewFlags(name, "import",
		"add usage that export, nlbwmon or vnStat has printed; what is there already stays", stdout)
	database, span := bindDatabase(fs), bindSpan(fs)
	file := ""
	fs.Take("[FILE]", &file)
	month := fs.String("month", "", "the `MONTH` that a file of nlbwmon is about, such as 2026-11")
	uplink := fs.String("interface", "", "the uplink's `NAME` in a file of vnStat")
	if err := fs.Parse(args); err != nil {
		return err
	}
	o := transfer.Options{Calendar: usage.Calendar{Location: time.Local}, Interface: *uplink}
	from, to, err := span.span(o.Calendar, time.Now())
	if err != nil {
		return command.UsageError("import: %w", err)
	}
	if *month != "" {
		if o.Month, _, err = report.ParseMonth(o.Calendar, *month, 1); err != nil {
			return command.UsageError("import: --month %q: %w", *month, err)
		}
	}
	_, path, err := database.load()
	if err != nil {
		return err
	}
	in, err := openInput(file)
	if err != nil {
		return fmt.Errorf("import: %w", err)
	}
	defer in.Close()
	i := &importer{from: from, to: to}
	err = i.run(ctx, path, in, o)
	if err == nil || i.added > 0 {
		fmt.Fprintf(stdout, "%d rows added, %d were there already or belong to what is\n", i.added,
			i.rows-i.added)
	}
	switch {
	case errors.Is(err, transfer.ErrMonth):
		return command.UsageError("import: %w", err)
	case err != nil:
		return fmt.Errorf("import: %w", err)
	}
	return nil
}

// openInput opens a file; "" and "-" are standard input.
func openInput(path string) (io.ReadCloser, error) {
	if path == "" || path == "-" {
		return io.NopCloser(os.Stdin), nil
	}
	return os.Open(path)
}

// importer adds rows in batches.
type importer struct {
	from, to    time.Time
	store       *store.Store
	batch       []store.ImportRow
	rows, added int
}

func (i *importer) run(ctx context.Context, path string, in io.Reader, o transfer.Options) error {
	if err := readable(path); err != nil { // it makes none, nor sets one aside
		return err
	}
	var err error
	now := time.Now()
	i.store, _, err = store.Open(ctx, path, now, store.Options{Calendar: o.Calendar, WithoutRun: true})
	if err != nil {
		return err
	}
	err = transfer.Read(in, o, func(row *store.ImportRow) error {
		if row.Start.Before(i.from) || !row.Start.Before(i.to) {
			return nil
		}
		i.batch = append(i.batch, *row)
		if len(i.batch) < importBatch {
			return nil
		}
		return i.flush(ctx)
	})
	return errors.Join(err, i.flush(ctx), i.store.Close(now))
}

func (i *importer) flush(ctx context.Context) error {
	added, err := i.store.Import(ctx, i.batch)
	if err == nil {
		i.rows += len(i.batch)
		i.added += added
	}
	i.batch = i.batch[:0]
	return err
}
