package store

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// sqliteProgram returns what the program sqlite3 answers.
func sqliteProgram(t *testing.T, path string, commands ...string) string {
	t.Helper()
	if _, err := exec.LookPath("sqlite3"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command("sqlite3", append([]string{"-readonly", path}, commands...)...)
	cmd.Env = append(os.Environ(), "TZ=Europe/Berlin")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func views() []string {
	return []string{"usage_by_device_hour", "usage_by_device_day", "usage_by_device_month",
		"usage_by_destination_day", "usage_by_service_hour", "usage_by_service_day",
		"usage_by_service_month", "usage_by_exporter_hour", "usage_by_exporter_day",
		"usage_by_exporter_month"}
}

// Names and columns of the views, and what is in them, by the program that SQL users have, while
// the database is open to be written.
func TestViewsForSQLUsers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	exampleStore(t, path)
	var got strings.Builder
	for _, view := range views() {
		fmt.Fprintf(&got, "%s\n%s\n", view, sqliteProgram(t, path, ".mode list", ".headers on",
			"SELECT * FROM "+view+" ORDER BY 1, 2, 3, 4, 5, 6"))
	}
	golden := filepath.Join("testdata", "views.txt")
	if *update {
		put(t, golden, []byte(got.String()))
	}
	if want := string(content(t, golden)); got.String() != want {
		t.Errorf("%s\nnot\n%s", got.String(), want)
	}
}

// What the views say is what Reader says, and in all of them it is the same.
func TestViewsAddUpToTheSame(t *testing.T) {
	s := openNew(t)
	h := newHousehold(s, noon().AddDate(0, 0, -75))
	pending := map[usage.Destination]usage.DestinationUsage{}
	for n := range 200 {
		b := h.next()
		for k, u := range b.Hours { // each device has one or two destinations
			d := destination(k.Day, int(k.Hour/3600%2), 1)
			d.Device = k.Device
			v := pending[d]
			v.Add(u)
			pending[d] = v
		}
		b.Destinations = nil
		if n%3 == 0 {
			b.Destinations, pending = pending, map[usage.Destination]usage.DestinationUsage{}
		}
		write(t, s, b)
		h.at = h.at.Add(9 * time.Hour)
		if n%10 == 0 {
			prune(t, s, h.at)
		}
	}
	of := func(columns, view string) (u usage.Usage) {
		t.Helper()
		err := s.db.QueryRow("SELECT " + sums(strings.Split(columns, ", ")) + " FROM " + view).
			Scan(usageTargets(&u)...)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	columns := list(devices().columns, "%")
	want := total(t, s)
	for _, view := range []string{"usage_by_device_day", "usage_by_device_month"} {
		if got := of(columns, view); got != want {
			t.Errorf("%s: %v, not %v", view, got, want)
		}
	}
	// Destinations are kept of all these days; those of the last flushes are not written yet.
	if got := of(columns, "usage_by_destination_day"); got != want {
		t.Errorf("usage_by_destination_day: %v, not %v", got, want)
	}
	if got := of(columns, "destination_rows"); got == want {
		t.Error("all destinations were written: nothing to make up for")
	}
	var all usage.Usage
	rows, err := s.Reader().Destinations(t.Context(), Span{From: noon().AddDate(-1, 0, 0),
		To: noon().AddDate(1, 0, 0), Period: ByMonth})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		all.Add(row.Usage)
	}
	if all != want {
		t.Errorf("Destinations: %v, not %v", all, want)
	}
}
