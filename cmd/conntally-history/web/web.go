// Package web serves history as pages for a browser: without JavaScript, and nothing in them
// comes from elsewhere.
//
//	guard (method, Host, path) -> password -> Site: store rows -> templates, chart -> HTML
//	                                                 downloads -> CSV, JSON
package web

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/condition"
)

// History is what pages are made of. *store.Reader implements it.
type History interface {
	report.Source
	Totals(context.Context, store.Span) ([]store.TotalRow, error)
}

// Rate is what a device moves at present, in bits per second, to and from behind an uplink.
type Rate struct{ Up, Down float64 }

// Options of a Site. All functions may be called by any goroutine, and those that are nil
// have nothing to say.
type Options struct {
	History  History
	Calendar usage.Calendar
	Now      func() time.Time
	// Refresh writes what has been counted, if the last flush is longer ago than a page
	// should be behind.
	Refresh    func(context.Context) error
	Rates      func() map[string]Rate // by device ID
	Conditions func() []condition.Condition
	BillingDay int // of the month, on which a billing month begins; 0 is 1
	Quotas     []report.Quota
	Services   bool         // services are counted
	Metrics    http.Handler // at /metrics
	Health     http.Handler // at /healthz
	Log        *zap.Logger
	Access     Access
}

// maxPages is how many pages are made at a time, which bounds the memory that they take.
const maxPages = 2

//go:embed templates
var files embed.FS

// Site is the pages. Make one with New.
type Site struct {
	o         Options
	slots     chan struct{} // one for each page that is made at a time
	templates *template.Template
	style     []byte
	icon      []byte
}

// New returns the pages, with all that Options.Access asks for in front of them. An error is
// one of Options.Access: see Access.Check.
func New(o Options) (http.Handler, error) {
	if err := o.Access.Check(); err != nil {
		return nil, err
	}
	s := &Site{o: o, slots: make(chan struct{}, maxPages)}
	s.defaults()
	var err error
	s.templates, err = template.New("").Funcs(s.functions()).ParseFS(files, "templates/*.html")
	if err != nil {
		return nil, err
	}
	if s.style, err = files.ReadFile("templates/style.css"); err != nil {
		return nil, err
	}
	if s.icon, err = files.ReadFile("templates/icon.svg"); err != nil {
		return nil, err
	}
	var handler http.Handler = s
	if o.Access.PasswordHash != "" {
		handler = newPassword(&o.Access, s.o.Now).protect(handler)
	}
	return newGuard(o.Access).protect(handler), nil
}

func (s *Site) defaults() {
	if s.o.Refresh == nil {
		s.o.Refresh = func(context.Context) error { return nil }
	}
	if s.o.Rates == nil {
		s.o.Rates = func() map[string]Rate { return nil }
	}
	if s.o.Conditions == nil {
		s.o.Conditions = func() []condition.Condition { return nil }
	}
	if s.o.Log == nil {
		s.o.Log = zap.NewNop()
	}
	s.o.BillingDay = max(1, s.o.BillingDay)
}

// view makes the data of a page. The name is that of its template.
type view struct {
	template string
	title    string
	nav      string // the entry of the menu that is current
	data     any
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/":
		s.page(w, r, s.overview)
	case "/devices":
		s.page(w, r, s.devices)
	case "/device":
		s.page(w, r, s.device)
	case "/services":
		s.page(w, r, s.services)
	case "/losses":
		s.page(w, r, s.losses)
	case "/export":
		s.page(w, r, s.export)
	case "/download":
		s.download(w, r)
	case "/style.css":
		s.asset(w, r, "text/css; charset=utf-8", s.style)
	case "/icon.svg":
		s.asset(w, r, "image/svg+xml", s.icon)
	case "/metrics":
		handOver(w, r, s.o.Metrics)
	case "/healthz":
		handOver(w, r, s.o.Health)
	default:
		s.fail(w, r, errNotFound)
	}
}

func handOver(w http.ResponseWriter, r *http.Request, to http.Handler) {
	if to == nil {
		to = http.NotFoundHandler()
	}
	to.ServeHTTP(w, r)
}

// asset serves a file of the program. It may change only when the program does.
func (s *Site) asset(w http.ResponseWriter, r *http.Request, contentType string, text []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// userError is an error whose text the user may see.
type userError struct {
	code int
	text string
}

func (e *userError) Error() string { return e.text }

func badRequest(format string, values ...any) error {
	return &userError{http.StatusBadRequest, fmt.Sprintf(format, values...)}
}

var errNotFound = &userError{http.StatusNotFound, "there is no such page"}

// begin enters, and parses a request. Without an error, leave has to be called.
func (s *Site) begin(r *http.Request) (ctx context.Context, q *request, leave func(), err error) {
	ctx, leave, err = s.enter(r.Context())
	if err != nil {
		return nil, nil, nil, err
	}
	if q, err = s.parse(r); err != nil {
		leave()
		return nil, nil, nil, err
	}
	return ctx, q, leave, nil
}

// page serves a view.
func (s *Site) page(w http.ResponseWriter, r *http.Request,
	build func(context.Context, *request) (view, error)) {
	ctx, q, leave, err := s.begin(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer leave()
	if err := s.o.Refresh(ctx); err != nil {
		s.o.Log.Warn("a page shows only what was written before", zap.Error(err))
	}
	v, err := build(ctx, q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	head, err := s.head(ctx, q, v)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.write(w, r, http.StatusOK, v.template, head)
}

// enter waits until a page may be made. leave ends that.
func (s *Site) enter(parent context.Context) (ctx context.Context, leave func(), err error) {
	ctx, cancel := context.WithTimeout(parent, queryTimeout)
	select {
	case s.slots <- struct{}{}:
		return ctx, func() { <-s.slots; cancel() }, nil
	case <-ctx.Done():
		cancel()
		return nil, nil, ctx.Err()
	}
}

// write renders a template as a whole, so that no half page is taken for one.
func (s *Site) write(w http.ResponseWriter, r *http.Request, code int, name string, data any) {
	var page bytes.Buffer
	if err := s.templates.ExecuteTemplate(&page, name, data); err != nil {
		s.o.Log.Error("a page could not be made: a bug in this program", zap.Error(err))
		http.Error(w, "this page could not be made; see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(page.Len()))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(page.Bytes()) // the client has gone if this fails
	}
}
