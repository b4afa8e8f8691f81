// Package check reports whether conntally-history can work as configured, and what is wrong
// with it where it runs.
//
//	ReadState -> State -> Results -> checklist.Report
//
// Only ReadState reads the machine; it changes nothing.
package check

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/condition"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/internal/checklist"
	shared "github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/cmd/internal/text"
)

// State is what check looks at.
type State struct {
	Database Database
	Receive  Listener // of records
	Page     Listener // without an address there is none
	Access   error    // why nobody could be let in to the page
	Service  Service
	Units    Units
}

// Database is the file, as another process may be writing it.
type Database struct {
	Path   string
	Extent store.Extent
	Max    int64 // bytes that it may have
	Free   int64 // bytes that are free on its disk; negative: not known
	Err    error // why it can't be read; fs.ErrNotExist: there is none yet
}

// Listener is an address that the service listens on.
type Listener struct {
	Address string
	Err     error // why a program can't listen there now
}

// Service is the conntally-history that runs.
type Service struct {
	Conditions []shared.ID // that hold
	Locked     bool        // its page asks for a password: the conditions are not known
	Err        error       // why it could not be asked
}

// Units are systemd's units that have IP accounting.
type Units struct {
	Enabled bool // they are counted
	Names   []string
	Err     error
}

// Results returns the results of all checks.
func Results(s *State) []checklist.Result {
	results := []checklist.Result{
		named("database", s.Database.result()),
		named("collector", s.listener(&s.Receive, "records are received at ")),
	}
	if s.Page.Address != "" {
		results = append(results, named("page", s.page()))
	}
	results = append(results, s.service()...)
	return append(results, named("services", s.Units.result()))
}

func named(name string, r checklist.Result) checklist.Result {
	r.Name = name
	return r
}

func ok(format string, args ...any) checklist.Result {
	return checklist.Result{Status: checklist.OK, Text: fmt.Sprintf(format, args...)}
}

func warn(format string, args ...any) checklist.Result {
	return checklist.Result{Status: checklist.Warn, Text: fmt.Sprintf(format, args...)}
}

func fail(format string, args ...any) checklist.Result {
	return checklist.Result{Status: checklist.Fail, Text: fmt.Sprintf(format, args...)}
}

func (d *Database) result() checklist.Result {
	switch {
	case errors.Is(d.Err, fs.ErrNotExist):
		return ok("%s is made when the service starts", d.Path)
	case errors.Is(d.Err, fs.ErrPermission):
		r := warn("%s can't be read: use sudo, it belongs to the service", d.Path)
		r.Unchecked = []string{"database"}
		return r
	case d.Err != nil:
		return fail("%v", d.Err) // which names the path
	}
	e := &d.Extent
	what := fmt.Sprintf("%s has %s of at most %s", d.Path, bytes(e.Size), bytes(d.Max))
	if !e.First.IsZero() {
		what += ", since " + e.First.Format(time.DateOnly)
	}
	if room := d.Max - e.Size; d.Free >= 0 && d.Free < room {
		return warn("%s, but its disk has room for %s: decrease max_size, or free some",
			what, bytes(d.Free))
	}
	return ok("%s", what)
}

func bytes(n int64) string { return text.Bytes(uint64(max(n, 0))) }

// running reports whether the service is known to run.
func (s *State) running() bool { return s.Service.Err == nil }

// listener returns ok where the service can listen, or does.
func (s *State) listener(l *Listener, what string) checklist.Result {
	switch {
	case l.Err == nil && s.running():
		return warn("nothing listens on %s: the service that runs has another address; restart it",
			l.Address)
	case l.Err == nil:
		return ok("%s%s once the service runs", what, l.Address)
	case errors.Is(l.Err, syscall.EADDRINUSE) && s.running():
		return ok("%s%s", what, l.Address)
	case errors.Is(l.Err, syscall.EADDRINUSE):
		return warn("a program uses %s already; if it isn't conntally-history, that can't start "+
			"(see ss -lnp)", l.Address)
	}
	return fail("nothing can listen on %s: %v", l.Address, l.Err)
}

func (s *State) page() checklist.Result {
	if s.Access != nil {
		return fail("%v", s.Access)
	}
	return s.listener(&s.Page, "the page is at ")
}

// service returns the conditions that hold.
func (s *State) service() []checklist.Result {
	if errors.Is(s.Service.Err, syscall.ECONNREFUSED) {
		r := warn("it doesn't run")
		r.Fix = "systemctl start conntally-history"
		return []checklist.Result{named("service", r)}
	}
	if !s.running() {
		return []checklist.Result{named("service", warn("it can't be asked: %v", s.Service.Err))}
	}
	if s.Service.Locked {
		r := warn("it runs; its page has a password, so that what is wrong isn't read here: " +
			"see there or in the log")
		r.Unchecked = []string{"service"}
		return []checklist.Result{named("service", r)}
	}
	var results []checklist.Result
	for _, d := range condition.Definitions() {
		if slices.Contains(s.Service.Conditions, d.ID) {
			c := shared.Complete(condition.Definitions(), shared.Condition{ID: d.ID})
			results = append(results, named("service", checklist.OfCondition(&c)))
		}
	}
	if len(results) == 0 {
		return []checklist.Result{named("service", ok("it runs, and nothing is wrong"))}
	}
	return results
}

// mostUnits are named; of the others only the number.
const mostUnits = 20

func (u *Units) result() checklist.Result {
	names := fmt.Sprintf("%d active units have IPAccounting", len(u.Names))
	if len(u.Names) == 1 {
		names = "1 active unit has IPAccounting"
	}
	if len(u.Names) > 0 {
		names += ": " + strings.Join(u.Names[:min(len(u.Names), mostUnits)], ", ")
	}
	if len(u.Names) > mostUnits {
		names += ", and others"
	}
	switch {
	case !u.Enabled && u.Err != nil:
		return ok("not counted ([services] enable)")
	case !u.Enabled:
		return ok("not counted ([services] enable); %s", names)
	case u.Err != nil:
		return warn("systemd can't be asked: %v", u.Err)
	case len(u.Names) == 0:
		return warn("no active unit has IPAccounting=yes, so none is counted: systemctl edit UNIT")
	}
	return ok("%s", names)
}
