package print

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/export/decode"
)

// TestMissingTimesAreLeftOut: templates of other exporters may have no times.
func TestMissingTimesAreLeftOut(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.Local)
	cases := []struct {
		start, end          time.Time
		wantStart, wantTook string
		jsonStart, jsonEnd  bool
	}{
		{at, at.Add(time.Second), "03:04:05.678", "1.000s", true, true},
		{at, time.Time{}, "03:04:05.678", "-", true, false},
		{time.Time{}, at, "-", "-", false, true},
		{time.Time{}, time.Time{}, "-", "-", false, false},
	}
	for _, c := range cases {
		f := decode.Flow{Start: c.start, End: c.end}
		columns := Columns(&f)
		if start, took := columns[0], columns[7]; start != c.wantStart || took != c.wantTook {
			t.Errorf("%v to %v: start %q, duration %q, want %q, %q", c.start, c.end, start, took,
				c.wantStart, c.wantTook)
		}
		var out bytes.Buffer
		New(&out, true).Message(&decode.Message{Flows: []decode.Flow{f}})
		for key, want := range map[string]bool{`"start":`: c.jsonStart, `"end":`: c.jsonEnd} {
			if got := strings.Contains(out.String(), key); got != want {
				t.Errorf("%v to %v: %s is there: %v: %s", c.start, c.end, key, got, &out)
			}
		}
	}
	if at := natColumns(&decode.NATEvent{})[0]; at != "-" {
		t.Errorf("a translation without time began at %q", at)
	}
	var out bytes.Buffer
	New(&out, true).Message(&decode.Message{NATEvents: []decode.NATEvent{{}}})
	if strings.Contains(out.String(), "observed") {
		t.Errorf("a translation without time: %s", &out)
	}
}
