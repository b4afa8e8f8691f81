package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// By is what the rows of a report are.
type By uint8

// The kinds of rows. Total is one row for all devices together.
const (
	Device By = iota
	Destination
	Port
	Service
	Exporter
	Total
)

// Kinds returns the names of the kinds of rows.
func Kinds() []string {
	return []string{"device", "destination", "port", "service", "exporter", "total"}
}

// String returns the name of a kind.
func (b By) String() string { return Kinds()[b] }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *By) UnmarshalText(text []byte) error { return oneOf(b, text, Kinds()) }

// Scope selects traffic by where the other end is.
type Scope uint8

// The scopes.
const (
	WAN Scope = iota // behind an uplink
	LAN
	All
)

// Scopes returns the names of the scopes.
func Scopes() []string { return []string{"wan", "lan", "all"} }

// String returns the name of a scope.
func (s Scope) String() string { return Scopes()[s] }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Scope) UnmarshalText(text []byte) error { return oneOf(s, text, Scopes()) }

// of returns what moved in the scope.
func (s Scope) of(u usage.Usage) usage.Counters {
	c := usage.Counters{}
	if s != LAN {
		c.Add(u.WAN)
	}
	if s != WAN {
		c.Add(u.LAN)
	}
	return c
}

// Period is what a report's time is divided into. Whole has no name.
type Period struct{ store.Period }

// Periods returns the names of the periods.
func Periods() []string { return []string{"hour", "day", "month"} }

// String returns the name of a period; "" is Whole.
func (p Period) String() string {
	if p.Period == store.Whole {
		return ""
	}
	return Periods()[p.Period-store.ByHour]
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Period) UnmarshalText(text []byte) error {
	var i uint8
	if err := oneOf(&i, text, Periods()); err != nil {
		return err
	}
	p.Period = store.ByHour + store.Period(i)
	return nil
}

// oneOf sets v to the index of text in words.
func oneOf[T ~uint8](v *T, text []byte, words []string) error {
	i := slices.Index(words, string(text))
	if i < 0 {
		return errors.New("want one of " + strings.Join(words, ", "))
	}
	*v = T(i)
	return nil
}

// Query is what a report is asked for.
type Query struct {
	By       By
	Period   store.Period
	From, To time.Time // To is exclusive; both are whole days where By is Destination or Port
	Device   string    // by ID, name, MAC or address; "" is all
	Scope    Scope
	New      bool // only destinations that the device had not exchanged anything with before
	Limit    int  // rows of each period, the largest; 0 is all
	// Month says that From and To are a billing month: of the running one, there is an
	// estimate.
	Month    bool
	Services bool // they are counted, by the configuration
}

// Check reports what doesn't fit together.
func (q *Query) Check() error {
	byDestination := q.By == Destination || q.By == Port
	switch {
	case !q.From.Before(q.To):
		return fmt.Errorf("a report from %s on has to end later", stamp(q.From))
	case byDestination && q.Period == store.ByHour:
		return fmt.Errorf("a report by %s has no hours: destinations are kept by day", q.By)
	case q.New && q.By != Destination:
		return errors.New("only destinations are new: add --by destination")
	case q.Device != "" && (q.By == Service || q.By == Exporter || q.By == Total):
		return fmt.Errorf("a report by %s has no devices", q.By)
	}
	return nil
}

// stamp formats a time for a sentence: a day, if it is the start of one.
func stamp(t time.Time) string {
	if h, m, s := t.Clock(); h == 0 && m == 0 && s == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02 15:04")
}
