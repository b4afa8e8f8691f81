package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/conntally-history/web/chart"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/cmd/internal/text"
)

// Rows of destinations that a page shows.
const (
	maxDestinations = 100
	maxNew          = 20
)

// talkDays is how many days the table of weekdays and hours is made of.
const talkDays = 28

// device is the data of the page of one device.
type device struct {
	usage.Device
	summary
	Label    string
	Quota    *quotaUse
	Figures  []figure
	Talk     *chart.Heat
	Steps    steps // of the destinations
	Contacts []contact
	More     int // above 0: some destinations are not shown
	New      []contact
	MoreNew  int
	CSV      string // links of downloads
	JSON     string
}

// contact is one destination.
type contact struct {
	Remote, Service string
	Others          bool // what is not among the largest
	Inbound, New    bool
	usage.Usage
	Count       uint64
	Mean        time.Duration // between two contacts; 0: unknown
	First, Last time.Time
	Largest     uint64
}

var errNoDevice = &userError{http.StatusNotFound, "there is no such device"}

func (s *Site) device(ctx context.Context, q *request) (view, error) {
	id := q.query.Get("id")
	if id == "" || len(id) > maxDevice {
		return view{}, errNoDevice
	}
	found, ok, err := s.o.History.Lookup(ctx, id)
	if err != nil {
		return view{}, err
	}
	if !ok {
		return view{}, errNoDevice
	}
	d := device{Device: found, Label: label(found.ID, found.Name)}
	for _, step := range []func(context.Context, *request, *device) error{
		s.deviceSummary, s.deviceFigures, s.deviceTalk, s.deviceContacts, s.deviceNews,
	} {
		if err := step(ctx, q, &d); err != nil {
			return view{}, err
		}
	}
	return view{"device", d.Label, "/devices", d}, nil
}

func (s *Site) deviceSummary(ctx context.Context, q *request, d *device) error {
	d.TodayAt = q.cal.window(daily, q.now, q.now)
	d.MonthAt = q.cal.window(monthly, q.now, q.now)
	for _, part := range []struct {
		window
		sum *usage.Usage
	}{{d.TodayAt, &d.Today}, {d.MonthAt, &d.Month}} {
		rows, err := s.o.History.Devices(ctx,
			store.Span{From: part.From, To: part.To, Device: d.ID})
		if err != nil {
			return err
		}
		*part.sum = total(rows).Usage
	}
	rates := s.o.Rates()
	d.HasRate, d.Rate = rates != nil, rates[d.ID]
	extent, err := s.o.History.Extent(ctx)
	if err != nil {
		return err
	}
	d.Estimate = expected(d.Month.WAN, d.MonthAt, extent, q.now)
	for i := range s.o.Quotas {
		if quota := &s.o.Quotas[i]; quota.Name != "" && quota.Counts(&d.Device) {
			use := quotaUse{Name: quota.Name, ID: d.ID}.drawn(
				quota.Bytes, d.Month.WAN, d.MonthAt, extent, q.now)
			d.Quota = &use
		}
	}
	return nil
}

func (s *Site) deviceFigures(ctx context.Context, q *request, d *device) error {
	for _, c := range []struct {
		bars
		id, title string
	}{
		{q.cal.hours(q.now, 24), "hours", "Last 24 hours"},
		{q.cal.lastDays(q.now, 30), "days", "Last 30 days"},
		{q.cal.lastMonths(q.now, 12), "months", "Last 12 months"},
	} {
		f, err := s.deviceFigure(ctx, q, c.bars, d.ID, c.id, c.title)
		if err != nil {
			return err
		}
		d.Figures = append(d.Figures, f)
	}
	return nil
}

// deviceTalk makes the table of when the device talks.
func (s *Site) deviceTalk(ctx context.Context, q *request, d *device) error {
	b := q.cal.lastDays(q.now, talkDays)
	span := b.span(d.ID)
	span.Period = store.ByHour
	rows, err := s.o.History.Devices(ctx, span)
	if err != nil {
		return err
	}
	var sums [7][24]uint64
	for i := range rows {
		start := rows[i].Start.In(q.cal.Location)
		sums[(start.Weekday()+6)%7][start.Hour()] += size(rows[i].WAN) + size(rows[i].LAN)
	}
	d.Talk = &chart.Heat{
		ID: "talk", Title: "When it talks", Desc: "Nothing moved.", Columns: make([]string, 24),
	}
	for hour := 0; hour < 24; hour += 6 {
		d.Talk.Columns[hour] = fmt.Sprintf("%02d:00", hour)
	}
	most := uint64(0)
	for i, sum := range sums {
		day := time.Weekday((i + 1) % 7).String()
		cells := make([]chart.Cell, 0, len(sum))
		for hour, bytes := range sum {
			tip := fmt.Sprintf("%s %02d:00–%02d:00: %s", day, hour, (hour+1)%24, text.Bytes(bytes))
			cells = append(cells, chart.Cell{Tip: tip, Value: bytes})
			if bytes > most {
				most, d.Talk.Desc = bytes, "Most on "+tip+"."
			}
		}
		d.Talk.Rows, d.Talk.Cells = append(d.Talk.Rows, day[:3]), append(d.Talk.Cells, cells)
	}
	return nil
}

func (s *Site) deviceContacts(ctx context.Context, q *request, d *device) error {
	w, err := q.window(daily)
	if err != nil {
		return err
	}
	if w.Unit == hourly {
		return badRequest("destinations are kept by day")
	}
	d.Steps = q.steps(w)
	d.Steps.Units = d.Steps.Units[1:]
	all, err := s.contacts(ctx, store.Span{
		From: w.From, To: w.To, Device: d.ID, Limit: maxDestinations + 1,
	})
	if err != nil {
		return err
	}
	d.Contacts, d.More = largest(all, maxDestinations)
	what := []string{
		"what", "destinations", "device", d.ID, "from", q.cal.Day(w.From).String(),
		"to", (q.cal.Day(w.To) - 1).String(),
	}
	d.CSV, d.JSON = linkTo("/download", append(what, "format", "csv")...),
		linkTo("/download", append(what, "format", "json")...)
	return nil
}

// deviceNews finds the destinations that the device has had since yesterday, and not before.
func (s *Site) deviceNews(ctx context.Context, q *request, d *device) error {
	today := q.cal.Day(q.now)
	span := store.Span{
		From: q.cal.Start(today - 1), To: q.cal.Start(today + 1), Device: d.ID,
		Limit: maxNew + 2, OnlyNew: true, // one more, and those that have no address
	}
	all, err := s.contacts(ctx, span)
	if err != nil {
		return err
	}
	var fresh []contact
	for _, c := range all {
		if c.New && !c.Others {
			fresh = append(fresh, c)
		}
	}
	d.New, d.MoreNew = largest(fresh, maxNew)
	return nil
}

// contacts returns the destinations of a span, the largest first.
func (s *Site) contacts(ctx context.Context, span store.Span) (all []contact, err error) {
	most := uint64(0)
	err = s.o.History.EachDestination(ctx, span, func(row *store.DestinationRow) error {
		all = append(all, newContact(row))
		most = max(most, size(row.WAN)+size(row.LAN))
		return nil
	})
	for i := range all {
		all[i].Largest = most
	}
	return all, err
}

func newContact(row *store.DestinationRow) contact {
	c := contact{
		Remote: remoteName(row.Remote), Others: !row.Remote.IsValid(),
		Inbound: row.Inbound, New: row.New, Usage: row.Usage,
		Count: max(row.UpContacts, row.DownContacts), First: row.First, Last: row.Last,
	}
	if !c.Others {
		c.Service = service(row.Protocol, row.Port)
	}
	if c.Count > 1 {
		c.Mean = row.Last.Sub(row.First) / time.Duration(min(c.Count-1, 1<<40))
	}
	return c
}

// service returns the protocol and the port.
func service(number uint8, port uint16) string {
	if port == 0 {
		return print.Protocol(number)
	}
	return fmt.Sprintf("%s %d", print.Protocol(number), port)
}

// Sum returns what was exchanged, wherever the other end is.
func (c contact) Sum() usage.Counters {
	sum := c.WAN
	sum.Add(c.LAN)
	return sum
}

// Every returns the mean interval in words, "" if it is unknown.
func (c contact) Every() string {
	if c.Mean < time.Second {
		return ""
	}
	return text.Duration(c.Mean)
}
