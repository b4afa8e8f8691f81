package show

import (
	"fmt"
	"io"
	"slices"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/internal/text"
)

// Failures tells what fails, each failure once as long as it lasts. Rows are wrong or missing
// then, and don't show it.
type Failures struct {
	Out io.Writer // nil: nobody

	told []string
}

// Tell writes a line for each failing condition of list that the last list didn't have.
func (f *Failures) Tell(list []condition.Condition) {
	if f.Out == nil {
		return
	}
	var failing []string
	for i := range list {
		c := &list[i]
		if c.Severity != condition.Failing {
			continue
		}
		key := string(c.ID) + " " + c.Subject // its detail may change
		failing = append(failing, key)
		if !slices.Contains(f.told, key) {
			fmt.Fprintln(f.Out, text.Clean(string(c.Severity)+": "+c.String()))
		}
	}
	f.told = failing
}
