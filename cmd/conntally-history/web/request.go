package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/internal/text"
)

// queryTimeout bounds the time that a page takes.
const queryTimeout = 30 * time.Second

// maxDevice is the longest name of a device that is looked for, in bytes.
const maxDevice = 256

// request is what an address asks for.
type request struct {
	path  string
	query url.Values
	now   time.Time
	cal   calendar
}

// parse reads the address. Each parameter may be given once.
func (s *Site) parse(r *http.Request) (*request, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("the address is malformed")
	}
	for key, values := range query {
		if len(values) > 1 {
			return nil, badRequest("%s is given twice", text.Cut(key, 40))
		}
	}
	return &request{
		path: r.URL.Path, query: query, now: s.o.Now().In(s.o.Calendar.Location),
		cal: calendar{Calendar: s.o.Calendar, billingDay: s.o.BillingDay},
	}, nil
}

// choice returns a parameter that has one of some values; the first is the default.
func (q *request) choice(key string, values ...string) (string, error) {
	given := q.query.Get(key)
	if given == "" {
		return values[0], nil
	}
	for _, v := range values {
		if v == given {
			return v, nil
		}
	}
	return "", badRequest("there is no %s %q", key, text.Cut(given, 40))
}

// window returns the window that the parameters period and at name: by default the present
// one of the given unit.
func (q *request) window(standard unit) (window, error) {
	units := []string{string(standard)}
	for _, u := range []unit{hourly, daily, monthly} {
		if u != standard {
			units = append(units, string(u))
		}
	}
	name, err := q.choice("period", units...)
	if err != nil {
		return window{}, err
	}
	at := q.now
	if given := q.query.Get("at"); given != "" {
		var ok bool
		if at, ok = q.cal.parseAt(unit(name), given); !ok {
			return window{}, badRequest("%q is no %s", text.Cut(given, 40), name)
		}
	}
	return q.cal.window(unit(name), at, q.now), nil
}

// link returns the address of the same page with some parameters changed; "" removes one.
func (q *request) link(changes ...string) string {
	values := url.Values{}
	for key, v := range q.query {
		values[key] = v
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			values.Del(changes[i])
		} else {
			values.Set(changes[i], changes[i+1])
		}
	}
	return address(q.path, values)
}

func address(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

// linkTo returns an address with parameters, each a key and a value.
func linkTo(path string, parameters ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		if parameters[i+1] != "" {
			values.Set(parameters[i], parameters[i+1])
		}
	}
	return address(path, values)
}

// steps are links to the windows beside the one that is shown.
type steps struct {
	Window       window
	Units        []option
	Earlier, Now string // Now is "" where the present is shown
	Later        string // "" where there is none
}

// option is one of several ways to see the same page.
type option struct {
	Label, Link string
	Current     bool
}

func (q *request) steps(w window) steps {
	s := steps{Window: w, Earlier: q.link("at", q.cal.window(w.Unit, w.From.Add(-time.Second), q.now).At)}
	for _, u := range []struct {
		unit
		label string
	}{{hourly, "Hour"}, {daily, "Day"}, {monthly, "Month"}} {
		o := option{Label: u.label, Current: u.unit == w.Unit}
		o.Link = q.link("period", string(u.unit), "at", "")
		if !w.Current { // what is shown stays in it
			o.Link = q.link("period", string(u.unit), "at", q.cal.window(u.unit, w.From, q.now).At)
		}
		s.Units = append(s.Units, o)
	}
	if !w.Current {
		s.Now = q.link("at", "")
		if later := q.cal.window(w.Unit, w.To, q.now); !later.From.After(q.now) {
			s.Later = q.link("at", later.At)
		}
	}
	return s
}

// failure is the page of an error.
type failure struct {
	Title, Text string
}

// fail serves an error: to the user what the user did, else to the log.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	var user *userError
	if errors.As(err, &user) {
		title := "Not understood"
		if user.code == http.StatusNotFound {
			title = "Not found"
		}
		s.write(w, r, user.code, "failure", failure{title, user.text})
		return
	}
	s.o.Log.Warn("a page could not be made", zap.String("path", r.URL.Path), zap.Error(err))
	s.write(w, r, http.StatusServiceUnavailable, "failure", failure{
		"Not available", "The database can't be read at present. The log says why.",
	})
}

// label returns what a device is called.
func label(id, name string) string {
	return text.Clean(cmp.Or(name, id))
}

// total adds all rows, as of one device or of all. LAN traffic between two devices stands in
// the rows of both.
func total(rows []store.DeviceRow) (sum store.DeviceRow) {
	for i := range rows {
		sum.Add(rows[i].Usage)
	}
	return sum
}
