// Package checklist holds what the command check of a program finds, and prints it.
package checklist

import (
	"io"

	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/cmd/internal/condition"
	"github.com/conntally/conntally/cmd/internal/terminal"
)

// Status is the outcome of one check.
type Status string

// The statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // the program works, but what it counts may be incomplete or inexact
	Fail Status = "fail" // the program doesn't work, or traffic goes uncounted
)

// Result is one line of output.
type Result struct {
	Name      string       `json:"name"`
	Status    Status       `json:"status"`
	Text      string       `json:"text"`      // what was found
	Fix       string       `json:"fix"`       // a command; "" if there is none
	Condition condition.ID `json:"condition"` // the metric's label; "" if only check reports it

	Unchecked []string `json:"-"` // names of the checks that it prevents; Text has them, too
}

// OfCondition returns the result that a condition is.
func OfCondition(c *condition.Condition) Result {
	r := Result{Status: Warn, Text: c.String(), Fix: c.Fix, Condition: c.ID}
	if c.Severity == condition.Failing {
		r.Status = Fail
	}
	if c.Fix == "" && c.Advice != "" {
		r.Text += "; " + c.Advice
	}
	return r
}

// Count counts the results that have a status.
func Count(results []Result, s Status) (n int) {
	for _, r := range results {
		if r.Status == s {
			n++
		}
	}
	return n
}

// Report prints results, and returns command.ErrReported if one has failed: the program then
// exits with status 1.
func Report(w io.Writer, results []Result, asJSON bool) error {
	if asJSON {
		if err := PrintJSON(w, results); err != nil {
			return err
		}
	} else {
		Print(w, results, terminal.Colourful(w))
	}
	if Count(results, Fail) > 0 {
		return command.ErrReported
	}
	return nil
}
