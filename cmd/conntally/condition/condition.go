// Package condition has the list of everything that can be wrong with counting and exporting.
// Log, metrics, /healthz, alert rules and `conntally check` are made from it.
//
//	Definitions -> Tracker.Raise, Clear -> log, Snapshot -> metrics, /healthz
package condition

import (
	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/condition"
)

// Both programs share these types.
type (
	// ID names a condition.
	ID = condition.ID
	// Severity says what a condition costs.
	Severity = condition.Severity
	// Definition describes a condition.
	Definition = condition.Definition
	// Condition is one that holds, or held.
	Condition = condition.Condition
	// Tracker knows which conditions hold.
	Tracker = condition.Tracker
)

// The severities, and how long an event keeps its condition up.
const (
	Warning    = condition.Warning
	Failing    = condition.Failing
	EventLasts = condition.EventLasts
)

// NewTracker returns a Tracker by which no condition holds.
func NewTracker(log *zap.Logger) *Tracker { return condition.NewTracker(log, Definitions()) }

// Complete returns a condition that holds, filled in from its definition.
func Complete(c Condition) Condition { return condition.Complete(Definitions(), c) }

// Err returns those of list that are failing, one a line, or nil.
func Err(list []Condition) error { return condition.Err(list) }
