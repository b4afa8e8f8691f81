package web

import (
	"context"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// serviceList is the data of the page of services.
type serviceList struct {
	steps
	Enabled bool
	Rows    []serviceUse
	More    int
	Sum     usage.Counters
	Figure  *figure
}

// serviceUse is a row of the list.
type serviceUse struct {
	store.ServiceRow
	Largest uint64
}

func (s *Site) services(ctx context.Context, q *request) (view, error) {
	w, err := q.window(monthly)
	if err != nil {
		return view{}, err
	}
	rows, err := s.o.History.Services(ctx, store.Span{From: w.From, To: w.To})
	if err != nil {
		return view{}, err
	}
	list := serviceList{steps: q.steps(w), Enabled: s.o.Services}
	most := uint64(0)
	for i := range rows {
		list.Sum.Add(rows[i].Counters)
		most = max(most, size(rows[i].Counters))
	}
	uses := make([]serviceUse, 0, len(rows))
	for i := range rows {
		uses = append(uses, serviceUse{rows[i], most})
	}
	list.Rows, list.More = largest(uses, maxRows)
	if len(rows) > 0 {
		if list.Figure, err = s.windowFigure(ctx, q, w, s.serviceWindow()); err != nil {
			return view{}, err
		}
	}
	return view{"services", "Services", "/services", list}, nil
}
