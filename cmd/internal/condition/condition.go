// Package condition follows what can be wrong while a program runs. Each program has its own
// list of what that is.
//
//	[]Definition -> Tracker.Raise, Clear -> log, Snapshot -> metrics, /healthz
package condition

import (
	"errors"
	"time"
)

// ID names a condition: in the label of the metric, in JSON and in the log.
type ID string

// Severity is how bad a condition is.
type Severity string

// The severities.
const (
	Warning Severity = "warning" // what is counted may lack something
	Failing Severity = "failing" // traffic is missing; /healthz answers 503
)

// Definition says what a condition is.
type Definition struct {
	ID       ID
	Severity Severity
	// Message is the log's line, and the text that users are shown.
	Message string
	// Meaning is what it does to the figures, for the documentation.
	Meaning string
	// Fix is the command that ends the condition, where it is the same everywhere. A
	// Condition may have one of its own.
	Fix string
	// Advice is what to do where no command does it.
	Advice string
	// Alert is the name of the alert rule.
	Alert string
	// Check is the line of `conntally check` that looks for it; "" where only a running
	// probe can know.
	Check string
	// Subjects is what its subjects are, as the log's key, such as "collector"; "" where
	// there are none.
	Subjects string
	// Event: something that happened raises it, and it lasts until that hasn't happened again
	// for EventLasts.
	Event bool
	// Once: it is logged when it begins, but not again each minute.
	Once bool
}

// EventLasts is how long an event keeps its condition up: longer than Prometheus usually
// waits between two scrapes.
const EventLasts = 2 * time.Minute

// Condition is one that holds.
type Condition struct {
	ID       ID       `json:"condition"`
	Severity Severity `json:"severity"`
	// which collector, setting or flowtable; "" where there is only one
	Subject string    `json:"subject"`
	Message string    `json:"message"`
	Detail  string    `json:"detail"` // how many, or the system's own words
	Fix     string    `json:"fix"`    // the command that ends it; "" where there is none
	Advice  string    `json:"advice"` // what to do then
	Since   time.Time `json:"since"`
}

// complete fills in c from its definition.
func (d *Definition) complete(c Condition) Condition {
	c.Severity, c.Message = d.Severity, d.Message
	if c.Fix == "" {
		c.Fix = d.Fix
	}
	if c.Fix == "" {
		c.Advice = d.Advice
	}
	return c
}

// Complete returns a condition that holds, filled in from its definition in a list.
func Complete(list []Definition, c Condition) Condition {
	for i := range list {
		if list[i].ID == c.ID {
			return list[i].complete(c)
		}
	}
	panic("condition: no definition of " + string(c.ID))
}

// String describes the condition in one line.
func (c *Condition) String() string {
	text := c.Message
	if c.Subject != "" {
		text = c.Subject + ": " + text
	}
	if c.Detail != "" {
		text += " (" + c.Detail + ")"
	}
	return text
}

// Err returns those of list that are failing, one a line, or nil.
func Err(list []Condition) error {
	var all []error
	for i := range list {
		if list[i].Severity == Failing {
			all = append(all, errors.New(list[i].String()))
		}
	}
	return errors.Join(all...)
}
