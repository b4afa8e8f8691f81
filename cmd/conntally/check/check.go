// Package check tells whether a machine is ready for conntally.
//
//	Look -> Facts -> Results -> Print, PrintJSON
//
// Only Look reads the machine, and it changes nothing there.
package check

import (
	"fmt"
	"strings"
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
	Name   string `json:"name"`
	Status Status `json:"status"`
	Text   string `json:"text"` // what it means
	Mend   string `json:"mend"` // the command that mends it; "" where there is none
}

// check judges facts in one respect. A Result without status says nothing.
type check struct {
	name  string
	judge func(*Facts) Result
}

func checks() []check {
	return []check{
		{"kernel", kernelVersion},
		{"modules", modules},
		{"rights", rights},
		{"acct", acct},
		{"timestamp", timestamp},
		{"events", events},
		{"tracking", tracking},
		{"counters", counters},
		{"offload", offload},
		{"table", table},
		{"buffer", buffer},
		{"listeners", listeners},
		{"clock", clock},
	}
}

// Results judges facts in all respects, and then each collector.
func Results(f *Facts) []Result {
	var results []Result
	add := func(name string, r Result) {
		if r.Status != "" {
			r.Name = name
			if r.Mend != "" && !f.Root {
				r.Mend = "sudo " + strings.ReplaceAll(r.Mend, " && ", " && sudo ")
			}
			results = append(results, r)
		}
	}
	for _, c := range checks() {
		add(c.name, c.judge(f))
	}
	for i := range f.Collectors {
		add("collector", collector(&f.Collectors[i]))
	}
	return results
}

// Count tells how many results have a status.
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

func warn(mend, format string, args ...any) Result {
	return Result{Status: Warn, Text: fmt.Sprintf(format, args...), Mend: mend}
}

func fail(mend, format string, args ...any) Result {
	return Result{Status: Fail, Text: fmt.Sprintf(format, args...), Mend: mend}
}
