package web

import (
	"cmp"
	"context"
	"html/template"
	"slices"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/conntally-history/web/chart"
	"github.com/conntally/conntally/cmd/internal/text"
)

// overviewDevices is how many devices the overview shows.
const overviewDevices = 10

// overview is the data of the first page.
type overview struct {
	summary
	Conditions []notice
	Losses     lossSummary
	Quotas     []quotaUse
	Hours      figure
	Days       figure
	Devices    []deviceNow
	More       int // devices that are not shown
}

// summary is what moves now, moved today and in the billing month; of all or of one device.
type summary struct {
	HasRate          bool
	Rate             Rate
	Today, Month     usage.Usage
	TodayAt, MonthAt window
	Estimate         uint64 // bytes of the whole month; 0: too early to say
}

// deviceNow is a row of the overview.
type deviceNow struct {
	usage.Device
	Rate         Rate
	Today, Month usage.Counters
	Largest      uint64 // of all rows, for the bar
}

func (s *Site) overview(ctx context.Context, q *request) (view, error) {
	o := overview{Conditions: notices(s.o.Conditions())}
	today := q.cal.window(daily, q.now, q.now)
	month := q.cal.window(monthly, q.now, q.now)
	devices, err := s.devicesNow(ctx, today, month)
	if err != nil {
		return view{}, err
	}
	o.summary = s.summarize(q, devices)
	o.Quotas = s.quotas(q, devices)
	if o.Losses, err = s.lossSummary(ctx, month); err != nil {
		return view{}, err
	}
	o.Hours, err = s.deviceFigure(ctx, q, q.cal.hours(q.now, 24), "", "hours", "Last 24 hours")
	if err != nil {
		return view{}, err
	}
	o.Days, err = s.deviceFigure(ctx, q, q.cal.days(month.From, month.To), "", "days",
		month.Label+" by day")
	if err != nil {
		return view{}, err
	}
	o.Devices, o.More = largest(devices.rows(), overviewDevices)
	return view{"overview", "Overview", "/", o}, nil
}

// present is what all devices moved today and in the present month.
type present struct {
	today, month window
	byID         map[string]*deviceNow
	sumToday     usage.Usage
	sumMonth     usage.Usage
	rates        map[string]Rate
	extent       store.Extent
}

// devicesNow reads what the devices moved today and this month.
func (s *Site) devicesNow(ctx context.Context, today, month window) (*present, error) {
	p := &present{
		today: today, month: month, byID: map[string]*deviceNow{}, rates: s.o.Rates(),
	}
	var err error
	if p.extent, err = s.o.History.Extent(ctx); err != nil {
		return nil, err
	}
	rows, err := s.o.History.Devices(ctx, store.Span{From: month.From, To: month.To})
	if err != nil {
		return nil, err
	}
	for i := range rows {
		p.device(&rows[i].Device).Month = rows[i].WAN
		p.sumMonth.Add(rows[i].Usage)
	}
	rows, err = s.o.History.Devices(ctx, store.Span{From: today.From, To: today.To})
	if err != nil {
		return nil, err
	}
	for i := range rows {
		p.device(&rows[i].Device).Today = rows[i].WAN
		p.sumToday.Add(rows[i].Usage)
	}
	return p, nil
}

func (p *present) device(d *usage.Device) *deviceNow {
	row := p.byID[d.ID]
	if row == nil {
		row = &deviceNow{Device: *d, Rate: p.rates[d.ID]}
		p.byID[d.ID] = row
	}
	return row
}

// rows returns the devices, those that moved most this month first.
func (p *present) rows() []deviceNow {
	rows := make([]deviceNow, 0, len(p.byID))
	most := uint64(0)
	for _, row := range p.byID {
		most = max(most, size(row.Month))
		rows = append(rows, *row)
	}
	for i := range rows {
		rows[i].Largest = most
	}
	slices.SortFunc(rows, func(a, b deviceNow) int {
		return cmp.Or(cmp.Compare(size(b.Month), size(a.Month)), cmp.Compare(a.ID, b.ID))
	})
	return rows
}

// largest returns the first rows, and how many there are besides.
func largest[T any](rows []T, most int) (first []T, more int) {
	if len(rows) <= most {
		return rows, 0
	}
	return rows[:most], len(rows) - most
}

func (s *Site) summarize(q *request, p *present) summary {
	sum := summary{
		HasRate: p.rates != nil, Today: p.sumToday, Month: p.sumMonth,
		TodayAt: p.today, MonthAt: p.month,
		Estimate: expected(p.sumMonth.WAN, p.month, p.extent, q.now),
	}
	for _, rate := range p.rates {
		sum.Rate.Up += rate.Up
		sum.Rate.Down += rate.Down
	}
	return sum
}

// quotaUse is how much of a quota is used.
type quotaUse struct {
	Name                  string // "": all devices
	ID                    string // of the device; "" if it has moved nothing
	Used, Limit, Expected uint64
	Until                 time.Time
	SVG                   template.HTML
}

// Percent returns how much is used.
func (u quotaUse) Percent() uint64 {
	return uint64(float64(u.Used) / float64(max(1, u.Limit)) * 100)
}

// Over reports whether the quota is exceeded.
func (u quotaUse) Over() bool { return u.Used > u.Limit }

// Close reports whether the quota is going to be exceeded.
func (u quotaUse) Close() bool { return !u.Over() && u.Expected > u.Limit }

func (s *Site) quotas(q *request, p *present) []quotaUse {
	uses := make([]quotaUse, 0, len(s.o.Quotas))
	for i := range s.o.Quotas {
		quota := &s.o.Quotas[i]
		use := quotaUse{Name: quota.Name}
		var used usage.Counters
		for id, row := range p.byID {
			if quota.Counts(&row.Device) {
				used.Add(row.Month)
				use.ID = id
			}
		}
		if quota.Name == "" {
			use.ID = ""
		}
		uses = append(uses, use.drawn(quota.Bytes, used, p.month, p.extent, q.now))
	}
	return uses
}

// drawn returns u with its figures, estimate and bar.
func (u quotaUse) drawn(limit uint64, used usage.Counters, month window, e store.Extent,
	now time.Time) quotaUse {
	u.Used, u.Limit, u.Until = size(used), limit, month.To.Add(-time.Second)
	u.Expected = expected(used, month, e, now)
	u.SVG = (&chart.Meter{
		Used: u.Used, Limit: u.Limit, Expected: u.Expected,
		Label: text.Bytes(u.Used) + " of " + text.Bytes(u.Limit) + " used",
	}).SVG()
	return u
}

// expected returns how many bytes a month is going to have; 0 if it is too early to say.
func expected(moved usage.Counters, month window, e store.Extent, now time.Time) uint64 {
	estimate := report.EstimateMonth(moved, month.From, month.To, e, now)
	if estimate == nil {
		return 0
	}
	return estimate.UpBytes + estimate.DownBytes
}
