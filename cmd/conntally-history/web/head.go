package web

import (
	"context"
	"time"

	"github.com/conntally/conntally/cmd/internal/condition"
)

// head is what every page has, around the data of its view.
type head struct {
	Title string
	Menu  []option
	Now   time.Time
	// Flushed is when the database was written last: figures are as of then.
	Flushed time.Time
	Failing int // conditions
	Warning int
	View    any
}

func (s *Site) head(ctx context.Context, q *request, v view) (head, error) {
	extent, err := s.o.History.Extent(ctx)
	if err != nil {
		return head{}, err
	}
	h := head{Title: v.title, Now: q.now, Flushed: extent.Flushed, View: v.data}
	for _, c := range s.o.Conditions() {
		if c.Severity == condition.Failing {
			h.Failing++
		} else {
			h.Warning++
		}
	}
	for _, entry := range []option{
		{Label: "Overview", Link: "/"}, {Label: "Devices", Link: "/devices"},
		{Label: "Services", Link: "/services"}, {Label: "Losses", Link: "/losses"},
		{Label: "Export", Link: "/export"},
	} {
		entry.Current = entry.Link == v.nav
		h.Menu = append(h.Menu, entry)
	}
	return h, nil
}
