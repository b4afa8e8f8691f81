package report

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
)

// A report over a time before the database's first row says so, rather than that nothing is known
// to be missing.
func TestAReportSaysWhenTheDatabaseBegins(t *testing.T) {
	c := zone(t, "Europe/Berlin")
	at := func(month time.Month, day, hour int) time.Time {
		return time.Date(2026, month, day, hour, 0, 0, 0, c.Location)
	}
	const none = "Nothing is known to be missing."
	for name, test := range map[string]struct{ first, from, to time.Time }{
		"a month before":               {at(11, 3, 9), at(10, 1, 0), at(11, 1, 0)},
		"the month in which it begins": {at(11, 3, 9), at(11, 1, 0), at(12, 1, 0)},
		"since it begins":              {at(11, 3, 9), at(11, 3, 9), at(12, 1, 0)},
		"later":                        {at(11, 3, 9), at(11, 4, 0), at(12, 1, 0)},
		"nothing is in it":             {time.Time{}, at(10, 1, 0), at(11, 1, 0)},
	} {
		source := &fixed{extent: store.Extent{First: test.first.UTC(), Flushed: now(c)}}
		r, err := Build(context.Background(), source, c,
			Query{By: Device, From: test.from, To: test.to}, now(c))
		if err != nil {
			t.Fatal(err)
		}
		want, key := none, ""
		if test.first.After(test.from) {
			want = "Missing: what came before 2026-11-03 09:00, where the database begins."
			key = `"begins":"2026-11-03T09:00:00+01:00"`
		}
		if got := r.Lines()[0]; got != want {
			t.Errorf("%s: %s", name, got)
		}
		var b bytes.Buffer
		if err := r.JSON(&b); err != nil || !strings.Contains(b.String(), key) ||
			key == "" && strings.Contains(b.String(), "begins") {
			t.Errorf("%s: %v: %s", name, err, &b)
		}
	}
}
