package show

import (
	"bytes"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/conntally/condition"
)

// TestFailureThatComesBackIsToldAgain: but not one whose details change.
func TestFailureThatComesBackIsToldAgain(t *testing.T) {
	full := func(detail string) []condition.Condition {
		return []condition.Condition{condition.Complete(condition.Condition{
			ID: condition.CollectorFails, Subject: "a:1", Detail: detail,
		})}
	}
	var out bytes.Buffer
	f := Failures{Out: &out}
	for _, list := range [][]condition.Condition{full("1"), full("2"), nil, full("3\x1b[2J")} {
		f.Tell(list)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], "(1)") || strings.Contains(lines[1], "\x1b") {
		t.Errorf("%q", lines)
	}
}
