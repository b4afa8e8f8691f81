package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/config"
	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/terminal"
)

// printedRows are printed of destinations and ports where no --limit says otherwise.
const printedRows = 40

// reportArgs are the arguments of `conntally-history report`.
type reportArgs struct {
	flags    *command.Flags
	database *databaseFlags

	by              report.By
	period          report.Period
	scope           report.Scope
	from, to, month string
	billingDay      int
	device          string
	latest          bool
	limit           int
	quota           bool
	json, csv       bool
}

func parseReport(args []string, stdout io.Writer) (*reportArgs, error) {
	fs := command.NewFlags(name, "report", "who used how much; by default, this month by device",
		stdout)
	a := &reportArgs{flags: fs, database: bindDatabase(fs)}
	word := func(name, usage string, set func([]byte) error) {
		fs.Func(name, usage, func(s string) error { return set([]byte(s)) })
	}
	word("by", "rows are each a `KIND`: "+strings.Join(report.Kinds(), ", ")+" (default device)",
		a.by.UnmarshalText)
	word("period", "rows for each `PERIOD`: "+strings.Join(report.Periods(), ", "),
		a.period.UnmarshalText)
	fs.StringVar(&a.from, "from", "", "begin at `TIME`: 2026-11-29, 2026-11-29T10:00, yesterday, 7d")
	fs.StringVar(&a.to, "to", "", "end at `TIME`; a day or month is included (default now)")
	fs.StringVar(&a.month, "month", "", "the billing month that begins in `MONTH`, such as 2026-11")
	fs.IntVar(&a.billingDay, "billing-day", 0,
		"billing months begin on day `N` (default that of the configuration)")
	fs.StringVar(&a.device, "device", "", "only the device with this `NAME`, address or MAC")
	word("scope", "traffic of this `SCOPE`: wan, through an uplink; lan; or all (default wan)",
		a.scope.UnmarshalText)
	fs.BoolVar(&a.latest, "new", false,
		"only destinations that are new; without --from, since yesterday")
	fs.IntVar(&a.limit, "limit", 0, fmt.Sprintf("at most `N` rows of each period; 0 is all (default "+
		"%d destinations or ports where they are printed)", printedRows))
	fs.BoolVar(&a.quota, "quota", false, "compare quotas; exit status 1 if one is exceeded")
	fs.BoolVar(&a.json, "json", false, "print one JSON object")
	fs.BoolVar(&a.csv, "csv", false, "print CSV")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	return a, a.check()
}

// check reports flags that don't fit together.
func (a *reportArgs) check() error {
	switch {
	case a.json && a.csv:
		return command.UsageError("report: --json or --csv, not both")
	case a.month != "" && a.from+a.to != "":
		return command.UsageError("report: --month, or --from and --to")
	case a.to != "" && a.from == "":
		return command.UsageError("report: --to needs --from")
	case a.flags.IsSet("billing-day") && (a.billingDay < 1 || a.billingDay > 31):
		return command.UsageError("report: --billing-day: want a day from 1 to 31")
	case a.limit < 0:
		return command.UsageError("report: --limit: want a number of rows")
	}
	for _, other := range []string{"by", "period", "from", "device", "scope", "new", "limit"} {
		if a.quota && a.flags.IsSet(other) {
			return command.UsageError("report: --quota is about billing months: without --%s", other)
		}
	}
	return nil
}

// runReport is `conntally-history report`.
func runReport(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	a, err := parseReport(args, stdout)
	if err != nil {
		return err
	}
	c, path, err := a.database.load()
	if err != nil {
		return err
	}
	now, calendar := time.Now(), usage.Calendar{Location: time.Local}
	q, err := a.query(c, calendar, now)
	if err != nil {
		return command.UsageError("report: %w", err)
	}
	reader, err := openReader(ctx, path)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	defer reader.Close()
	if a.quota {
		return a.printQuotas(ctx, reader, c, q, now, stdout, stderr)
	}
	r, err := report.Build(ctx, reader, calendar, q, now)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return a.print(r, &r.Losses, stdout, stderr)
}

// query returns what the arguments ask for.
func (a *reportArgs) query(
	c *config.Config, in usage.Calendar, now time.Time,
) (report.Query, error) {
	q := report.Query{
		By: a.by, Period: a.period.Period, Device: a.device, Scope: a.scope, New: a.latest,
		Limit: a.limit, Services: c.Services.Enable,
	}
	if a.latest && !a.flags.IsSet("by") {
		q.By = report.Destination
	}
	byDestination := q.By == report.Destination || q.By == report.Port
	if byDestination && !a.json && !a.csv && !a.flags.IsSet("limit") {
		q.Limit = printedRows
	}
	var err error
	if q.From, q.To, q.Month, err = a.span(c, in, now, &q); err != nil {
		return q, err
	}
	if byDestination {
		q.From, q.To = report.WholeDays(in, q.From, q.To)
	}
	return q, q.Check()
}

// span returns the time that the report is about, and whether that is a billing month.
func (a *reportArgs) span(
	c *config.Config, in usage.Calendar, now time.Time, q *report.Query,
) (from, to time.Time, month bool, err error) {
	day := c.Report.BillingDay
	if a.billingDay > 0 {
		day = a.billingDay
	}
	from, to = report.BillingMonth(in, now, day)
	next := report.WholeHour(in, now.Add(time.Hour))
	switch {
	case a.month != "":
		if from, to, err = report.ParseMonth(in, a.month, day); err != nil {
			err = fmt.Errorf("--month %q: %w", a.month, err)
		}
		return from, to, true, err
	case a.from != "":
		from, to, err = a.fromTo(in, now)
		return from, to, false, err
	case q.New:
		return in.Start(in.Day(now) - 1), next, false, nil
	case q.Period == store.ByHour:
		return next.Add(-24 * time.Hour), next, false, nil
	case q.Period == store.ByMonth:
		first := in.Day(now).Month()
		return in.Start((first - 11).First()), in.Start((first + 1).First()), false, nil
	}
	return from, to, true, nil
}

// fromTo returns the time of --from and --to, in whole hours.
func (a *reportArgs) fromTo(in usage.Calendar, now time.Time) (from, to time.Time, err error) {
	from, _, err = report.ParseTime(in, a.from, now)
	if err != nil {
		return from, to, fmt.Errorf("--from %q: %w", a.from, err)
	}
	to = now
	if a.to != "" {
		if _, to, err = report.ParseTime(in, a.to, now); err != nil {
			return from, to, fmt.Errorf("--to %q: %w", a.to, err)
		}
	}
	end := report.WholeHour(in, to)
	if end.Before(to) {
		end = report.WholeHour(in, to.Add(time.Hour))
	}
	return report.WholeHour(in, from), end, nil
}

// printable is a report in any form.
type printable interface {
	Text(p report.Page) error
	JSON(w io.Writer) error
	CSV(w io.Writer) error
}

// print prints a report as the arguments say. A table of CSV has no place for what is missing,
// so that stderr has it.
func (a *reportArgs) print(r printable, l *report.Losses, stdout, stderr io.Writer) error {
	switch {
	case a.json:
		return r.JSON(stdout)
	case a.csv:
		for _, line := range l.Lines() {
			fmt.Fprintln(stderr, line)
		}
		return r.CSV(stdout)
	}
	return r.Text(report.Page{Out: stdout, Columns: terminal.Columns(stdout)})
}

// printQuotas compares the quotas of the configuration.
func (a *reportArgs) printQuotas(
	ctx context.Context, source report.Source, c *config.Config, of report.Query, now time.Time,
	stdout, stderr io.Writer,
) error {
	quotas := quotasOf(c)
	if len(quotas) == 0 {
		return command.UsageError(
			"report: no quota is configured: see quota in [[device]] and [report]")
	}
	q, err := report.BuildQuotas(ctx, source, of.From, of.To, quotas, now)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := a.print(q, &q.Losses, stdout, stderr); err != nil {
		return err
	}
	if q.Exceeded() {
		fmt.Fprintln(stderr, exceeded(q))
		return command.ErrReported
	}
	return nil
}

// exceeded names the quotas that are exceeded.
func exceeded(q *report.Quotas) error {
	var names []string
	for i := range q.Rows {
		if row := &q.Rows[i]; row.Exceeded {
			names = append(names, row.Label())
		}
	}
	return errors.New("quota exceeded: " + strings.Join(names, ", "))
}

// quotasOf returns the quotas of the configuration: of devices, then of all.
func quotasOf(c *config.Config) (all []report.Quota) {
	for i := range c.Named {
		d := &c.Named[i]
		if d.Quota == 0 {
			continue
		}
		q := report.Quota{Name: d.Name, Bytes: uint64(d.Quota)}
		for _, mac := range d.MAC {
			q.IDs = append(q.IDs, mac.String())
		}
		for _, address := range d.Address {
			q.IDs = append(q.IDs, address.String())
		}
		all = append(all, q)
	}
	if c.Report.Quota > 0 {
		all = append(all, report.Quota{Bytes: uint64(c.Report.Quota)})
	}
	return all
}
