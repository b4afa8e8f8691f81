package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/result"
)

// TestEmulated: instructions per flow take the place of break-evens.
func TestEmulated(t *testing.T) {
	s := suite()
	s.Emulated = true
	var out bytes.Buffer
	Markdown(&out, s)
	for _, want := range []string{
		"a nanosecond of it is an instruction",
		"Instructions per flow that the whole machine executes more",
		"| softflowd | 286 | 2,857 | 28,571 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "costs no more than "+result.Rival) {
		t.Error("break-evens, of times")
	}
}
