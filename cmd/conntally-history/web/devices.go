package web

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// maxRows is how many rows a page shows; export has all of them.
const maxRows = 200

// deviceList is the data of the list of devices.
type deviceList struct {
	steps
	Columns []column
	Rows    []deviceUse
	More    int // rows that are not shown
	Sum     usage.Usage
	Figure  *figure // of the window; nil for an hour
	HasRate bool
	Losses  lossSummary
}

// deviceUse is a row of the list.
type deviceUse struct {
	store.DeviceRow
	Rate    Rate
	Largest uint64
}

// column is a head of a table, and a link that sorts by it.
type column struct {
	Label, Link string
	Number      bool
	Sorted      string // "ascending", "descending" or ""
	Wide        bool   // left out on a phone
	Title       string
}

// deviceOrder compares two rows by one column. Numbers have the largest first.
type deviceOrder struct {
	key, label, title string
	number, wide      bool
	compare           func(a, b *deviceUse) int
}

func bySize(of func(*deviceUse) uint64) func(a, b *deviceUse) int {
	return func(a, b *deviceUse) int { return cmp.Compare(of(b), of(a)) }
}

// deviceOrders returns the columns of the list.
func deviceOrders() []deviceOrder {
	return []deviceOrder{
		{key: "total", label: "Total", number: true,
			compare: bySize(func(d *deviceUse) uint64 { return size(d.WAN) })},
		{key: "name", label: "Device", compare: func(a, b *deviceUse) int {
			return cmp.Compare(strings.ToLower(label(a.ID, a.Name)), strings.ToLower(label(b.ID, b.Name)))
		}},
		{key: "down", label: "Down", number: true,
			compare: bySize(func(d *deviceUse) uint64 { return d.WAN.DownBytes })},
		{key: "up", label: "Up", number: true,
			compare: bySize(func(d *deviceUse) uint64 { return d.WAN.UpBytes })},
		{key: "lan", label: "LAN", number: true, title: "with other devices here", wide: true,
			compare: bySize(func(d *deviceUse) uint64 { return size(d.LAN) })},
		{key: "seen", label: "Last seen", wide: true, compare: func(a, b *deviceUse) int {
			return b.Last.Compare(a.Last)
		}},
	}
}

func (s *Site) devices(ctx context.Context, q *request) (view, error) {
	w, err := q.window(monthly)
	if err != nil {
		return view{}, err
	}
	order, columns, err := q.sorting(deviceOrders())
	if err != nil {
		return view{}, err
	}
	rows, err := s.o.History.Devices(ctx, store.Span{From: w.From, To: w.To})
	if err != nil {
		return view{}, err
	}
	d := deviceList{steps: q.steps(w), Columns: columns, Sum: total(rows).Usage}
	d.HasRate = s.o.Rates() != nil && w.Current
	d.Rows, d.More = largest(s.deviceUses(rows, order), maxRows)
	if d.Figure, err = s.windowFigure(ctx, q, w, s.deviceWindow("")); err != nil {
		return view{}, err
	}
	if size(d.Sum.WAN) > 0 && size(d.Figure.sum()) == 0 {
		d.Figure = nil // hours of that day are no longer kept
	}
	if d.Losses, err = s.lossSummary(ctx, w); err != nil {
		return view{}, err
	}
	return view{"devices", "Devices", "/devices", d}, nil
}

// deviceUses returns the rows in order, each with what it moves now.
func (s *Site) deviceUses(rows []store.DeviceRow, compare func(a, b *deviceUse) int) []deviceUse {
	rates := s.o.Rates()
	most := uint64(0)
	for i := range rows {
		most = max(most, size(rows[i].WAN))
	}
	uses := make([]deviceUse, 0, len(rows))
	for i := range rows {
		uses = append(uses, deviceUse{rows[i], rates[rows[i].ID], most})
	}
	slices.SortStableFunc(uses, func(a, b deviceUse) int {
		return cmp.Or(compare(&a, &b), cmp.Compare(a.ID, b.ID))
	})
	return uses
}

// sorting returns the order that the parameters sort and order ask for, and the columns.
func (q *request) sorting(orders []deviceOrder) (func(a, b *deviceUse) int, []column, error) {
	keys := make([]string, 0, len(orders))
	for i := range orders {
		keys = append(keys, orders[i].key)
	}
	sort, err := q.choice("sort", keys...)
	if err != nil {
		return nil, nil, err
	}
	order, err := q.choice("order", "first", "last")
	if err != nil {
		return nil, nil, err
	}
	reverse := order == "last"
	compare := orders[slices.Index(keys, sort)].compare
	if reverse {
		forward := compare
		compare = func(a, b *deviceUse) int { return -forward(a, b) }
	}
	columns := make([]column, 0, len(orders))
	for i := range orders {
		columns = append(columns, q.column(&orders[i], sort, reverse))
	}
	return compare, columns, nil
}

func (q *request) column(o *deviceOrder, sort string, reverse bool) column {
	c := column{
		Label: o.label, Number: o.number, Wide: o.wide, Title: o.title,
		Link: q.link("sort", o.key, "order", ""),
	}
	if o.key != sort {
		return c
	}
	descending := o.key != "name"
	if !reverse {
		c.Link = q.link("sort", o.key, "order", "last")
	} else {
		descending = !descending
	}
	c.Sorted = "ascending"
	if descending {
		c.Sorted = "descending"
	}
	return c
}

// draw makes a figure of some bars.
type draw func(ctx context.Context, q *request, b bars, title string) (figure, error)

func (s *Site) deviceWindow(device string) draw {
	return func(ctx context.Context, q *request, b bars, title string) (figure, error) {
		return s.deviceFigure(ctx, q, b, device, "window", title)
	}
}

func (s *Site) serviceWindow() draw {
	return func(ctx context.Context, q *request, b bars, title string) (figure, error) {
		return s.serviceFigure(ctx, q, b, "window", title)
	}
}

// windowFigure draws a day by hour or a month by day. An hour has no figure.
func (s *Site) windowFigure(ctx context.Context, q *request, w window, d draw) (*figure, error) {
	var b bars
	var title string
	switch w.Unit {
	case daily:
		b, title = q.cal.hoursOf(w), w.Label+" by hour"
	case monthly:
		b, title = q.cal.days(w.From, w.To), w.Label+" by day"
	default:
		return nil, nil
	}
	f, err := d(ctx, q, b, title)
	return &f, err
}
