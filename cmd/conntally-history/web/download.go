package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/internal/text"
)

// wanted is a download.
type wanted struct {
	report.Query
	what, format string
	first, last  string // days
}

// wanted reads what a download asks for.
func (q *request) wanted() (wanted, error) {
	w := wanted{}
	var err error
	w.what, err = q.choice("what", "devices", "destinations", "services", "exporters")
	if err != nil {
		return w, err
	}
	w.By = map[string]report.By{
		"devices": report.Device, "destinations": report.Destination,
		"services": report.Service, "exporters": report.Exporter,
	}[w.what]
	if w.format, err = q.choice("format", "csv", "json"); err != nil {
		return w, err
	}
	period, err := q.choice("period", "day", "hour", "month")
	if err != nil {
		return w, err
	}
	w.Period = map[string]store.Period{
		"hour": store.ByHour, "day": store.ByDay, "month": store.ByMonth,
	}[period]
	if w.Device = q.query.Get("device"); len(w.Device) > maxDevice {
		return w, errNoDevice
	}
	if err := q.span(&w); err != nil {
		return w, err
	}
	if err := w.Check(); err != nil {
		return w, badRequest("%s", err)
	}
	return w, nil
}

// span reads from and to, days of which both are part of the download.
func (q *request) span(w *wanted) error {
	today := q.cal.Day(q.now).String()
	for _, p := range []struct {
		key string
		day *string
		at  *time.Time
	}{{"from", &w.first, &w.From}, {"to", &w.last, &w.To}} {
		if *p.day = q.query.Get(p.key); *p.day == "" {
			*p.day = today
		}
		var ok bool
		if *p.at, ok = q.cal.parseAt(daily, *p.day); !ok {
			return badRequest("%s: %q is no day", p.key, text.Cut(*p.day, 40))
		}
	}
	w.To = q.cal.Start(q.cal.Day(w.To) + 1)
	if most := w.maxDays(); int(q.cal.Day(w.To)-q.cal.Day(w.From)) > most {
		return badRequest("that is too much for the page, which gives %d days of this at most; "+
			"conntally-history export has no limit", most)
	}
	return nil
}

// maxDays is how many days a download may have. A report is in memory as a whole: this bounds
// it to some thousand rows for a household.
func (w *wanted) maxDays() int {
	switch {
	case w.By == report.Destination && w.Device == "":
		return 1
	case w.By == report.Destination:
		return 31
	case w.Period == store.ByHour:
		return 7
	case w.Period == store.ByDay:
		return 100
	}
	return 3660
}

// name returns the file's. Whatever a device is called, it has nothing but letters, digits,
// dots and dashes.
func (w *wanted) name() string {
	parts := []string{"conntally", w.what, w.first, w.last}
	if w.Device != "" {
		parts = append(parts, strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.':
				return r
			}
			return '-'
		}, w.Device[:min(len(w.Device), 40)]))
	}
	return strings.Join(parts, "-") + "." + w.format
}

// download serves figures as a file, in the form of `conntally-history report`.
func (s *Site) download(w http.ResponseWriter, r *http.Request) {
	ctx, q, leave, err := s.begin(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer leave()
	want, err := q.wanted()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.o.Refresh(ctx); err != nil {
		s.o.Log.Warn("a download has only what was written before", zap.Error(err))
	}
	built, err := report.Build(ctx, s.o.History, s.o.Calendar, want.Query, q.now)
	if errors.Is(err, report.ErrNoDevice) {
		err = errNoDevice
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	encode, contentType := built.CSV, "text/csv; charset=utf-8"
	if want.format == "json" {
		encode, contentType = built.JSON, "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", want.name()))
	if r.Method == http.MethodHead {
		return
	}
	if err := encode(w); err != nil && ctx.Err() == nil {
		s.o.Log.Debug("a download was broken off", zap.Error(err))
	}
}
