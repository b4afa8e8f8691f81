package web

import (
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap/zaptest"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// writeHousehold writes what a memory has to a database of its own.
func writeHousehold(t testing.TB, m *memory) *store.Store {
	t.Helper()
	s, _, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "history.db"), m.flushed,
		store.Options{Calendar: m.cal, DestinationsPerDevice: 200})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(noon(t)); err != nil {
			t.Error(err)
		}
	})
	err = s.Write(t.Context(), &usage.Batch{
		At: m.flushed, Devices: slices.Collect(maps.Values(m.devices)), Hours: m.hours,
		Destinations: m.destinations, Exporters: m.exporters, Services: m.services,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestPagesOfARealDatabase say the same as those of memory: all figures of SQL are right.
func TestPagesOfARealDatabase(t *testing.T) {
	o, m := household(t)
	m.absent = nil
	from := noon(t).AddDate(0, -2, 0)
	maps.DeleteFunc(m.hours, func(h usage.DeviceHour, _ usage.Usage) bool {
		return int64(h.Hour) < from.Unix() // fewer rows to write
	})
	o.Log = zaptest.NewLogger(t)
	remembered, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	o.History = writeHousehold(t, m).Reader()
	stored, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range views() {
		if name == "failure" || name == "losses" { // which shows the file's size
			continue
		}
		w := get(t, stored, path)
		got := pageText(w.Body.String())
		want := pageText(get(t, remembered, path).Body.String())
		if w.Code != http.StatusOK || got != want {
			t.Errorf("%s: %d\n%s", name, w.Code, difference(got, want))
		}
	}
}

// difference returns where two texts begin to differ.
func difference(a, b string) string {
	x, y := strings.Fields(a), strings.Fields(b)
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			from := max(0, i-8)
			return "stored:     " + strings.Join(x[from:min(len(x), i+12)], " ") +
				"\nremembered: " + strings.Join(y[from:min(len(y), i+12)], " ")
		}
	}
	return "one is longer"
}
