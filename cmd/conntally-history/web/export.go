package web

import (
	"context"
	"time"
)

// exportPage is the data of the page of downloads.
type exportPage struct {
	From, To string // of the form
	Links    []exportLink
}

// exportLink is something that is often downloaded.
type exportLink struct{ Label, CSV, JSON string }

func (s *Site) export(_ context.Context, q *request) (view, error) {
	today := q.cal.Day(q.now)
	month := q.cal.window(monthly, q.now, q.now)
	last := q.cal.window(monthly, month.From.Add(-time.Second), q.now)
	first := q.cal.Day(month.From).String()
	p := exportPage{From: first, To: today.String()}
	for _, l := range []struct {
		label, what, period, from, to string
	}{
		{"Devices, this month by day", "devices", "day", first, today.String()},
		{"Devices, last month by day", "devices", "day", q.cal.Day(last.From).String(),
			(q.cal.Day(last.To) - 1).String()},
		{"Devices, today by hour", "devices", "hour", today.String(), today.String()},
		{"Devices, 12 months by month", "devices", "month",
			(today.Month() - 11).First().String(), today.String()},
		{"Destinations, today", "destinations", "day", today.String(), today.String()},
		{"Services, this month by day", "services", "day", first, today.String()},
		{"Exporters and losses, this month by day", "exporters", "day", first, today.String()},
	} {
		parameters := []string{"what", l.what, "period", l.period, "from", l.from, "to", l.to}
		p.Links = append(p.Links, exportLink{l.label,
			linkTo("/download", append(parameters, "format", "csv")...),
			linkTo("/download", append(parameters, "format", "json")...)})
	}
	return view{"export", "Export", "/export", p}, nil
}
