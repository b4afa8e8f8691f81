package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// LastRead is the header with the time of the reading, RFC 3339.
	LastRead = "Last-Read"

	maxAnswers   = 4                // in memory at a time
	busyTimeout  = 5 * time.Second  // for one of them
	writeTimeout = 10 * time.Second // until the client has read its answer

	maxMaxAge = 24 * time.Hour
)

// errBusy is the answer if too many others were answered at the same time.
var errBusy = errors.New("too many clients at a time; try again")

// handler answers requests from a Source.
type handler struct {
	source  Source
	answers chan struct{} // an element for each answer in memory
}

// endpoint is a path and how to answer it: with an object to be sent as JSON, and the time
// of the reading that it shows, which is zero where there is none.
type endpoint struct {
	path       string
	parameters []string
	answer     func(ctx context.Context, q *query) (object any, read time.Time, err error)
}

// Handler returns a handler for /v1/status, /v1/conditions, /v1/devices and /v1/flows.
// Errors are {"error": "..."}.
func Handler(s Source) http.Handler {
	h := &handler{source: s, answers: make(chan struct{}, maxAnswers)}
	endpoints := h.endpoints()
	known := paths(endpoints)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Without a connection, as in tests, no deadline can be set.
		deadline := time.Now().Add(busyTimeout + writeTimeout)
		_ = http.NewResponseController(w).SetWriteDeadline(deadline)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			reject(w, http.StatusMethodNotAllowed, errors.New("this socket is read only: GET"))
			return
		}
		i := slices.IndexFunc(endpoints, func(e endpoint) bool { return e.path == r.URL.Path })
		if i < 0 {
			reject(w, http.StatusNotFound, fmt.Errorf("no such path; there are %s", known))
			return
		}
		h.serve(w, r, &endpoints[i])
	})
}

func (h *handler) endpoints() []endpoint {
	return []endpoint{
		{"/v1/status", nil, h.status},
		{"/v1/conditions", nil, h.conditions},
		{"/v1/devices", []string{"max_age"}, h.devices},
		{"/v1/flows", []string{"device", "limit", "max_age"}, h.flows},
	}
}

func (h *handler) status(ctx context.Context, _ *query) (any, time.Time, error) {
	status, err := h.source.Status(ctx)
	status.Conditions, status.Collectors = orEmpty(status.Conditions), orEmpty(status.Collectors)
	return status, time.Time{}, err
}

func (h *handler) conditions(ctx context.Context, _ *query) (any, time.Time, error) {
	list, err := h.source.Conditions(ctx)
	return orEmpty(list), time.Time{}, err
}

func (h *handler) devices(ctx context.Context, q *query) (any, time.Time, error) {
	d, err := h.source.Devices(ctx, q.maxAge)
	if err != nil {
		return nil, time.Time{}, err
	}
	return orEmpty(d.Devices), d.Read, nil
}

func (h *handler) flows(ctx context.Context, q *query) (any, time.Time, error) {
	f, err := h.source.Flows(ctx, q.device, q.limit, q.maxAge)
	if err != nil {
		return nil, time.Time{}, err
	}
	return f, f.Read, nil
}

// orEmpty returns list; JSON has [] for an empty one, not null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func paths(endpoints []endpoint) string {
	var all []string
	for _, e := range endpoints {
		all = append(all, e.path)
	}
	return strings.Join(all, ", ")
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, e *endpoint) {
	q, err := parseQuery(r.URL.RawQuery, e.parameters)
	if err != nil {
		reject(w, http.StatusBadRequest, err)
		return
	}
	busy := time.NewTimer(busyTimeout)
	defer busy.Stop()
	select {
	case h.answers <- struct{}{}:
		defer func() { <-h.answers }()
	case <-busy.C:
		reject(w, http.StatusServiceUnavailable, errBusy)
		return
	case <-r.Context().Done():
		return
	}
	object, read, err := e.answer(r.Context(), q)
	switch {
	case errors.Is(err, ErrNoDevice):
		reject(w, http.StatusNotFound, err)
		return
	case err != nil:
		reject(w, http.StatusServiceUnavailable, err)
		return
	}
	if !read.IsZero() {
		w.Header().Set(LastRead, read.Format(time.RFC3339Nano))
	}
	reply(w, http.StatusOK, object)
}

// reply sends an object as JSON. The whole is encoded before the status is sent, so that
// an answer is never half of one.
func reply(w http.ResponseWriter, status int, object any) {
	var b bytes.Buffer
	if err := Encode(&b, object); err != nil {
		reject(w, http.StatusInternalServerError, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client may have gone
}

// problem is the object of an error.
type problem struct {
	Error string `json:"error"`
}

func reject(w http.ResponseWriter, status int, err error) {
	reply(w, status, problem{err.Error()})
}

// Encode writes an object as JSON, on one line.
func Encode(b *bytes.Buffer, object any) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(object)
}

// query holds the parameters of a request.
type query struct {
	device string
	limit  int           // 1 to MaxLimit
	maxAge time.Duration // 0: any
}

// parseQuery reads the part of a URL behind "?". allowed are its parameters.
func parseQuery(raw string, allowed []string) (*query, error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("malformed query: %w", err)
	}
	for name, list := range values {
		switch {
		case !slices.Contains(allowed, name) && len(allowed) == 0:
			return nil, fmt.Errorf("unknown parameter %q; this path takes none", name)
		case !slices.Contains(allowed, name):
			return nil, fmt.Errorf("unknown parameter %q; there are %s",
				name, strings.Join(allowed, ", "))
		case len(list) > 1:
			return nil, fmt.Errorf("parameter %q is given %d times", name, len(list))
		}
	}
	q := &query{device: values.Get("device"), limit: DefaultLimit}
	if text := values.Get("limit"); text != "" {
		if q.limit, err = strconv.Atoi(text); err != nil || q.limit < 1 || q.limit > MaxLimit {
			return nil, fmt.Errorf("limit: want a number from 1 to %d", MaxLimit)
		}
	}
	if text := values.Get("max_age"); text != "" {
		q.maxAge, err = time.ParseDuration(text)
		if err != nil || q.maxAge <= 0 || q.maxAge > maxMaxAge {
			return nil, fmt.Errorf(`max_age: want a duration up to %v, such as "2s"`, maxMaxAge)
		}
	}
	return q, nil
}
