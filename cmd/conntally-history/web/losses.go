package web

import (
	"context"
	"slices"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/condition"
)

// lossSummary is what a window lacks.
type lossSummary struct {
	window
	usage.Losses
	Away time.Duration // without conntally-history, in all
	Link string
}

// Any reports whether something is missing.
func (l lossSummary) Any() bool {
	return l.MissingRecords > 0 || l.MissingDatagrams > 0 || l.UnknownSets > 0 ||
		l.Refused > 0 || len(l.Absent) > 0
}

func (s *Site) lossSummary(ctx context.Context, w window) (lossSummary, error) {
	losses, err := s.o.History.Losses(ctx, w.From, w.To)
	l := lossSummary{window: w, Losses: losses}
	l.Link = linkTo("/losses", "period", string(w.Unit), "at", w.At)
	l.Away = absentDuring(losses.Absent, w.From, w.To)
	return l, err
}

// absentDuring returns how long conntally-history did not run in a span of time.
func absentDuring(list []usage.Absence, from, to time.Time) (away time.Duration) {
	for _, a := range list {
		away += max(0, earlier(a.To, to).Sub(later(a.From, from)))
	}
	return away
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// maxAbsences is how many of them a page lists, the latest.
const maxAbsences = 50

// lossPage is the data of the page of losses.
type lossPage struct {
	steps
	lossSummary
	Conditions []notice
	Absences   []usage.Absence // the latest first
	More       int
	Exporters  []store.ExporterRow
	MoreSent   int // exporters that are not shown
	Extent     store.Extent
}

func (s *Site) losses(ctx context.Context, q *request) (view, error) {
	w, err := q.window(monthly)
	if err != nil {
		return view{}, err
	}
	p := lossPage{steps: q.steps(w), Conditions: notices(s.o.Conditions())}
	if p.lossSummary, err = s.lossSummary(ctx, w); err != nil {
		return view{}, err
	}
	absent := slices.Clone(p.Absent)
	slices.Reverse(absent)
	p.Absences, p.More = largest(absent, maxAbsences)
	exporters, err := s.o.History.Exporters(ctx, store.Span{From: w.From, To: w.To})
	if err != nil {
		return view{}, err
	}
	p.Exporters, p.MoreSent = largest(exporters, maxRows)
	if p.Extent, err = s.o.History.Extent(ctx); err != nil {
		return view{}, err
	}
	return view{"losses", "Losses", "/losses", p}, nil
}

// notice is a condition as it is shown.
type notice struct {
	condition.Condition
	Failing bool
	Text    string
}

// notices returns conditions, the failing ones first.
func notices(list []condition.Condition) []notice {
	all := make([]notice, 0, len(list))
	for _, failing := range []bool{true, false} {
		for _, c := range list {
			if (c.Severity == condition.Failing) == failing {
				all = append(all, notice{c, failing, c.String()})
			}
		}
	}
	return all
}
