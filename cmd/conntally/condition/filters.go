package condition

import "slices"

// OfFilters returns the conditions of interfaces that filters name, but that don't exist.
func OfFilters(names []string, exists func(name string) bool) (list []Condition) {
	for i, name := range names {
		if !exists(name) && !slices.Contains(names[:i], name) {
			list = append(list, Condition{ID: FilterInterface, Subject: name})
		}
	}
	return list
}
