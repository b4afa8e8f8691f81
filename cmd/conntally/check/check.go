// Package check reports whether a machine is ready for conntally.
//
//	Look -> Facts -> Results -> Print, PrintJSON
//
// What can be wrong is condition's list, which `conntally run` shares. Only Look reads the
// machine; it changes no setting there.
package check

import (
	"fmt"
	"strings"

	"github.com/conntally/conntally/cmd/conntally/condition"
)

// Status is how a machine does in one respect.
type Status string

// The statuses.
const (
	OK   Status = "ok"
	Warn Status = "warn" // conntally works, with losses or doubts
	Fail Status = "fail" // it doesn't work, or counts too little
)

// Result is what there is to say in one respect.
type Result struct {
	Name      string       `json:"name"`
	Status    Status       `json:"status"`
	Text      string       `json:"text"`      // what it means
	Fix       string       `json:"fix"`       // the command that ends it; "" where there is none
	Condition condition.ID `json:"condition"` // as the metric's label has it; "" where only check looks
}

// line is one respect. Conditions whose definition names it come first; where none holds,
// judge has the word. A Result without status says nothing.
type line struct {
	name  string
	judge func(*Facts) Result
}

func lines() []line {
	return []line{
		{"kernel", release},
		{"modules", modules},
		{"rights", rights},
		{"acct", setting("acct", "packets and bytes are counted")},
		{"timestamp", setting("timestamp", "the kernel notes when connections begin and end")},
		{"events", events},
		{"tracking", tracking},
		{"counters", counters},
		{"offload", offload},
		{"bridge", bridge},
		{"table", table},
		{"buffer", buffer},
		{"listeners", listeners},
		{"clock", clock},
		{"collector", noCollector},
	}
}

// Results judges facts in all respects, and then each collector.
func Results(f *Facts) []Result {
	var results []Result
	add := func(name string, r Result) {
		if r.Status != "" {
			r.Name = name
			if r.Fix != "" && !f.Root {
				r.Fix = "sudo " + strings.ReplaceAll(r.Fix, " && ", " && sudo ")
			}
			results = append(results, r)
		}
	}
	holding := f.conditions()
	for _, l := range lines() {
		if held := holding[l.name]; len(held) > 0 {
			for i := range held {
				add(l.name, resultOf(&held[i]))
			}
			continue
		}
		add(l.name, l.judge(f))
	}
	for i := range f.Collectors {
		add("collector", collector(&f.Collectors[i]))
	}
	return results
}

// conditions returns what holds, by line.
func (f *Facts) conditions() map[string][]condition.Condition {
	lineOf := map[condition.ID]string{}
	for _, d := range condition.Definitions() {
		lineOf[d.ID] = d.Check
	}
	list := append(f.Conditions(), f.ofReading()...)
	holding := map[string][]condition.Condition{}
	for _, c := range list {
		if name := lineOf[c.ID]; name != "" && !f.fixedByRun(c.ID) {
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
