// Package check reports whether a machine is ready for conntally.
//
//	ReadState -> State -> Results -> Print, PrintJSON
//
// Most results are conditions of package condition, which `conntally run` shares. Only
// ReadState reads the machine; it changes no setting.
package check

import (
	"fmt"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/condition"
)

// Status is the outcome of one check.
type Status string

// The statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // conntally works, but records may be incomplete or inexact
	Fail Status = "fail" // conntally doesn't work, or traffic goes uncounted
)

// Result is one line of output.
type Result struct {
	Name      string       `json:"name"`
	Status    Status       `json:"status"`
	Text      string       `json:"text"`      // what was found
	Fix       string       `json:"fix"`       // a command; "" if there is none
	Condition condition.ID `json:"condition"` // the metric's label; "" if only check reports it
}

// line is one check. If a condition that belongs to it holds, the condition is the result;
// otherwise judge is called. A Result without a status is not printed.
type line struct {
	name  string
	judge func(*State) Result
}

func lines() []line {
	return []line{
		{"kernel", release},
		{"modules", modules},
		{"rights", rights},
		{"acct", setting("acct", "packets and bytes are counted")},
		{"timestamp", setting("timestamp", "the kernel records when connections begin and end")},
		{"events", events},
		{"source", source},
		{"tracking", tracking},
		{"counters", counters},
		{"offload", offload},
		{"bridge", bridge},
		{"table", table},
		{"buffer", buffer},
		{"listeners", listeners},
		{"clock", clock},
		{"names", names},
		{"collector", noCollector},
	}
}

// Results returns the results of all checks, then one for each collector.
func Results(s *State) []Result {
	var results []Result
	add := func(name string, r Result) {
		if r.Status != "" {
			r.Name = name
			if r.Fix != "" && !s.Root {
				r.Fix = "sudo " + strings.ReplaceAll(r.Fix, " && ", " && sudo ")
			}
			results = append(results, r)
		}
	}
	holding := s.conditions()
	for _, l := range lines() {
		if held := holding[l.name]; len(held) > 0 {
			for i := range held {
				add(l.name, resultOf(&held[i]))
			}
			continue
		}
		add(l.name, l.judge(s))
	}
	for i := range s.Collectors {
		add("collector", collector(&s.Collectors[i]))
	}
	return results
}

// conditions returns the conditions that hold, by line.
func (s *State) conditions() map[string][]condition.Condition {
	lineOf := map[condition.ID]string{}
	for _, d := range condition.Definitions() {
		lineOf[d.ID] = d.Check
	}
	list := append(s.Conditions(), s.readingConditions()...)
	holding := map[string][]condition.Condition{}
	for _, c := range list {
		if name := lineOf[c.ID]; name != "" && !s.fixedByRun(c.ID) {
			holding[name] = append(holding[name], condition.Complete(c))
		}
	}
	return holding
}

func resultOf(c *condition.Condition) Result {
	r := warn(c.Fix, "%s", c)
	if c.Severity == condition.Failing {
		r.Status = Fail
	}
	if c.Fix == "" && c.Advice != "" {
		r.Text += "; " + c.Advice
	}
	r.Condition = c.ID
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

func ok(format string, args ...any) Result {
	return Result{Status: OK, Text: fmt.Sprintf(format, args...)}
}

func warn(fix, format string, args ...any) Result {
	return Result{Status: Warn, Text: fmt.Sprintf(format, args...), Fix: fix}
}

func fail(fix, format string, args ...any) Result {
	return Result{Status: Fail, Text: fmt.Sprintf(format, args...), Fix: fix}
}
