package condition

import "github.com/conntally/conntally/flow/host"

// OfNames returns the conditions of files of names that can't be read.
func OfNames(problems []host.Problem) (list []Condition) {
	for _, p := range problems {
		detail := p.Err.Error()
		if p.Fix != "" {
			detail += "; " + p.Fix
		}
		list = append(list, Condition{ID: NamesUnreadable, Subject: p.Path, Detail: detail})
	}
	return list
}
