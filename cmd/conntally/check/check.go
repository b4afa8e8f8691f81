// Package check reports whether a machine is ready for conntally.
//
//	ReadState -> State -> Results -> checklist.Print, PrintJSON
//
// Most results are conditions of package condition, which `conntally run` shares. Only
// ReadState reads the machine; it changes no setting.
package check

import (
	"fmt"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/internal/checklist"
)

// These are checklist's.
type (
	// Status is the outcome of one check.
	Status = checklist.Status
	// Result is one line of output.
	Result = checklist.Result
)

// The statuses.
const (
	OK   = checklist.OK
	Warn = checklist.Warn
	Fail = checklist.Fail
)

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
		{"filters", filters},
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
				add(l.name, s.resultOf(&held[i]))
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

// resultOf returns the result of a condition that holds.
func (s *State) resultOf(c *condition.Condition) Result {
	r := checklist.OfCondition(c)
	if s.turnedOnByRun(c.ID) {
		r.Status = Warn
		r.Text += "; conntally run turns it on"
	}
	return r
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
