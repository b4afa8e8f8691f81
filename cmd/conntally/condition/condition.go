// Package condition has the list of everything that can be wrong with counting and exporting.
// Log, metrics, /healthz, alert rules and `conntally check` are made from it.
//
//	Definitions -> Tracker.Raise, Clear -> log, Snapshot -> metrics, /healthz
package condition

import (
	"go.uber.org/zap"

	"github.com/conntally/conntally/cmd/internal/condition"
)

// Types of conditions, which both programs share.
type (
	ID         = condition.ID
	Severity   = condition.Severity
	Definition = condition.Definition
	Condition  = condition.Condition
	Tracker    = condition.Tracker
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
