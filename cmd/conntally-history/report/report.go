// Package report answers who moved how much, and when, out of the database.
//
//	Query -> store.Reader -> Report -> text with bars | JSON | CSV
package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Source is what a report reads: a store.Reader.
type Source interface {
	Devices(ctx context.Context, s store.Span) ([]store.DeviceRow, error)
	EachDestination(ctx context.Context, s store.Span, fn func(*store.DestinationRow) error) error
	Services(ctx context.Context, s store.Span) ([]store.ServiceRow, error)
	Exporters(ctx context.Context, s store.Span) ([]store.ExporterRow, error)
	Losses(ctx context.Context, from, to time.Time) (usage.Losses, error)
	Extent(ctx context.Context) (store.Extent, error)
	Lookup(ctx context.Context, device string) (usage.Device, bool, error)
}

// ErrNoDevice says that the database has no device of a name.
var ErrNoDevice = errors.New("no such device; conntally-history report lists them")

// Report is the answer to a Query. Encoded as JSON it is what `report --json` prints.
type Report struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // exclusive
	By   string    `json:"by"`
	Losses
	Estimate *Estimate `json:"estimate,omitempty"`
	Rows     []Row     `json:"rows"`
	Omitted  int       `json:"omitted_rows"` // by the limit

	query    Query
	location *time.Location
	groups   map[group]int // rows by what they are added up by
	full     int           // rows after the smallest went last
	rest     usage.Usage   // of what is omitted
	sum      usage.Usage   // of all rows
}

// Build answers a query that Check finds nothing wrong with.
func Build(
	ctx context.Context, from Source, c usage.Calendar, q Query, now time.Time,
) (*Report, error) {
	r := &Report{
		From: q.From.In(c.Location), To: q.To.In(c.Location), By: q.By.String(), query: q,
		location: c.Location, Rows: []Row{}, groups: map[group]int{},
	}
	span := store.Span{From: q.From, To: q.To, Period: q.Period}
	if q.Device != "" {
		d, found, err := from.Lookup(ctx, q.Device)
		switch {
		case err != nil:
			return nil, err
		case !found:
			return nil, fmt.Errorf("%q: %w", q.Device, ErrNoDevice)
		}
		span.Device = d.ID
	}
	if err := r.read(ctx, from, span); err != nil {
		return nil, err
	}
	extent, err := from.Extent(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.Losses.read(ctx, from, r.From, earliest(r.To, now), extent, c.Location); err != nil {
		return nil, err
	}
	if q.Month && q.Period == store.Whole && (q.By == Device || q.By == Total) {
		r.Estimate = EstimateMonth(q.Scope.of(r.sum), r.From, r.To, extent, now)
	}
	r.largest()
	return r, nil
}

// read reads the rows.
func (r *Report) read(ctx context.Context, from Source, s store.Span) error {
	switch r.query.By {
	case Destination, Port:
		return r.destinations(ctx, from, s)
	case Service:
		return r.services(ctx, from, s)
	case Exporter:
		return r.exporters(ctx, from, s)
	}
	rows, err := from.Devices(ctx, s)
	if err != nil {
		return err
	}
	for i := range rows {
		row := &rows[i]
		r.add(Row{
			Start: r.start(row.Start), Subject: &Subject{row.ID, row.Name},
			Traffic: traffic(row.WAN), Local: local(row.LAN),
		})
	}
	return nil
}

// spare is how many rows beyond the limit are kept before the smallest go.
const spare = 1000

// add adds a row, or what it has to the row of its port, or of all devices.
func (r *Report) add(row Row) {
	r.sum.Add(row.usage())
	switch r.query.By {
	case Port:
		r.addTo(byPort(&row), row)
		return
	case Total:
		row.Subject = nil
		r.addTo(nil, row)
		return
	}
	if r.Rows = append(r.Rows, row); r.query.Limit > 0 && len(r.Rows) >= r.full+spare {
		r.largest()
		r.full = len(r.Rows)
	}
}

// start returns when the period of a row begins; nil if there is one for all.
func (r *Report) start(t time.Time) *time.Time {
	if r.query.Period == store.Whole {
		return nil
	}
	t = t.In(r.location)
	return &t
}

// group is what rows are added up by.
type group struct {
	start time.Time
	key   any
}

// addTo adds what a row has to the one of its period and key.
func (r *Report) addTo(key any, row Row) {
	g := group{key: key}
	if row.Start != nil {
		g.start = *row.Start
	}
	i, found := r.groups[g]
	if !found {
		r.groups[g] = len(r.Rows)
		r.Rows = append(r.Rows, row)
		return
	}
	to := &r.Rows[i]
	u := to.usage()
	u.Add(row.usage())
	to.Traffic, to.Local = traffic(u.WAN), local(u.LAN)
	if to.Contacts != nil {
		to.Contacts = &Contacts{
			Connections: to.Connections + row.Connections,
			FirstSeen:   earlier(to.FirstSeen, row.FirstSeen),
			LastSeen:    later(to.LastSeen, row.LastSeen),
		}
	}
}

func earlier(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.Before(*a) {
		return b
	}
	return a
}

func later(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}

// destinations reads those that have traffic in the scope.
func (r *Report) destinations(ctx context.Context, from Source, s store.Span) error {
	return from.EachDestination(ctx, s, func(d *store.DestinationRow) error {
		row := *DestinationRow(d, r.location)
		row.Start = r.start(d.Start)
		switch {
		case r.query.New && (!d.New || !d.Remote.IsValid()):
		case row.size(r.query.Scope) == 0:
			r.sum.Add(d.Usage)
		default:
			r.add(row)
		}
		return nil
	})
}

// byPort makes a row one of a port, which is returned.
func byPort(row *Row) any {
	row.Subject = nil
	row.Remote = &Remote{Protocol: row.Protocol, Port: row.Port}
	row.Contacts = &Contacts{
		Connections: row.Connections, FirstSeen: row.FirstSeen, LastSeen: row.LastSeen,
	}
	return *row.Remote
}

func (r *Report) services(ctx context.Context, from Source, s store.Span) error {
	rows, err := from.Services(ctx, s)
	if err != nil {
		return err
	}
	for i := range rows {
		row := *ServiceRow(&rows[i], r.location)
		row.Start = r.start(rows[i].Start)
		r.add(row)
	}
	return nil
}

func (r *Report) exporters(ctx context.Context, from Source, s store.Span) error {
	rows, err := from.Exporters(ctx, s)
	if err != nil {
		return err
	}
	for i := range rows {
		e, in := rows[i].Exporter, rows[i].Intake
		r.add(Row{
			Start: r.start(rows[i].Start), Stream: &Stream{address(e.Address), e.Version, e.Domain},
			Received: &Received{
				Datagrams: in.Datagrams, Records: in.Records, Bytes: in.Bytes,
				MissingRecords: in.MissingRecords, MissingDatagrams: in.MissingDatagrams,
				UnknownSets: in.UnknownSets, Refused: in.Refused,
			},
		})
	}
	return nil
}

// scope returns the scope of the columns. What services move has none.
func (r *Report) scope() Scope {
	if r.query.By == Service {
		return WAN
	}
	return r.query.Scope
}

// largest sorts rows by time, then the largest first, and leaves out the smallest of each
// period beyond the limit.
func (r *Report) largest() {
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		if a.Start != nil && !a.Start.Equal(*b.Start) {
			return a.Start.Compare(*b.Start)
		}
		return cmp.Compare(b.size(r.scope()), a.size(r.scope()))
	})
	if r.query.Limit <= 0 {
		return
	}
	kept, n, start := r.Rows[:0], 0, time.Time{}
	for _, row := range r.Rows {
		if row.Start != nil && !row.Start.Equal(start) {
			n, start = 0, *row.Start
		}
		if n++; n > r.query.Limit {
			r.Omitted++
			r.rest.Add(row.usage())
			continue
		}
		kept = append(kept, row)
	}
	r.Rows = kept
}

// earliest returns the earlier time: what is yet to come isn't missing.
func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
