package store

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

const yearVariable = "CONNTALLY_HISTORY_YEAR"

// fillYear fills a database with 50 devices by hour for 60 days and by day for a year, and with
// their 200 destinations of each of 90 days: 900,000 rows.
func fillYear(t *testing.T, path string) {
	t.Helper()
	s := open(t, path, noon(), testOptions(t))
	today := int64(s.options.Calendar.Day(noon()))
	start, _ := s.options.Calendar.Hour(noon())
	for _, statement := range []string{
		`INSERT INTO device (device, name, first, last) WITH RECURSIVE n(i) AS
			(VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 50)
			SELECT printf('02:00:00:00:00:%02x', i), 'device ' || i, 1, 1 FROM n`,
		`INSERT INTO hour WITH RECURSIVE n(i) AS
			(VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 1439)
			SELECT :start - i * 3600, (:start - i * 3600) / 86400, '' FROM n`,
		`INSERT INTO counted (id, a, b, c, d) SELECT (hour / 900) << 22 | id, hour % 1000000 * id,
			hour % 10000000 * id, hour % 1000, hour % 2000 FROM hour, device`,
		`INSERT INTO device_day (day, device, up_bytes, down_bytes) WITH RECURSIVE n(i) AS
			(VALUES (61) UNION ALL SELECT i + 1 FROM n WHERE i < 365)
			SELECT :today - i, id, i * 1000000 * id, i * 10000000 * id FROM n, device`,
		`INSERT INTO destination_day (` + destinationKey + `, up_bytes, down_bytes, up_contacts,
			first, last) WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 90),
			r(j) AS (VALUES (0) UNION ALL SELECT j + 1 FROM r WHERE j < 199)
			SELECT :today - i, id, printf('2001:db8:%x:%x::%x', j * 7919 % 65536, id, j * (i % 20)), 6, 443, 0,
			j * 1000 * id, j * 10000 * id, i, (:today - i) * 86400, (:today - i) * 86400 + 80000
			FROM n, device, r ORDER BY 1, 2, 3`,
		"PRAGMA wal_checkpoint(TRUNCATE)",
	} {
		if _, err := s.db.Exec(statement, sql.Named("today", today), sql.Named("start", int64(start))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(noon()); err != nil {
		t.Fatal(err)
	}
}

// TestYearReader is the program whose memory TestAYearIsReadInLittleMemory measures.
func TestYearReader(t *testing.T) {
	path := os.Getenv(yearVariable)
	if path == "" {
		t.Skip("another test runs it")
	}
	r, err := OpenReader(t.Context(), path, usage.Calendar{Location: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // it ends
	year := Span{From: noon().AddDate(-1, 0, 0), To: noon().AddDate(0, 0, 1)}
	month := Span{From: noon().AddDate(0, -1, 0), To: noon(), Limit: 200}
	day := Span{From: noon().AddDate(0, 0, -2), To: noon().AddDate(0, 0, -1), Limit: 200}
	for _, test := range []struct {
		name  string
		query func() (int, error)
	}{
		{"devices of a year", func() (int, error) { return count(r.Devices(t.Context(), year)) }},
		{"devices by month", func() (int, error) {
			s := year
			s.Period = ByMonth
			return count(r.Devices(t.Context(), s))
		}},
		{"hours of a device of 30 days", func() (int, error) {
			s := month
			s.Period, s.Device = ByHour, "02:00:00:00:00:05"
			return count(r.Devices(t.Context(), s))
		}},
		{"the 200 largest destinations of a year", func() (int, error) {
			s := year
			s.Limit = 200
			return count(r.Destinations(t.Context(), s))
		}},
		{"the 200 largest of a device in 30 days", func() (int, error) {
			s := month
			s.Device = "02:00:00:00:00:05"
			return count(r.Destinations(t.Context(), s))
		}},
		{"the 200 largest of a day", func() (int, error) { return count(r.Destinations(t.Context(), day)) }},
		{"new ones of a day", func() (int, error) {
			s := day
			s.OnlyNew = true
			return count(r.Destinations(t.Context(), s))
		}},
		{"all destinations, one by one", func() (n int, err error) {
			s := year
			s.Period = ByDay
			err = r.EachDestination(t.Context(), s, func(*DestinationRow) error { n++; return nil })
			return n, err
		}},
		{"losses", func() (int, error) {
			l, err := r.Losses(t.Context(), year.From, year.To)
			return len(l.Absent), err
		}},
	} {
		start := time.Now()
		n, err := test.query()
		if err != nil {
			t.Fatal(test.name, err)
		}
		fmt.Printf("%-42s %7d rows %6d ms  %s\n", test.name, n, time.Since(start).Milliseconds(),
			peak(t))
	}
}

func count[T any](rows []T, err error) (int, error) { return len(rows), err }

// peak returns how much memory this process has used at most.
func peak(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(string(content(t, "/proc/self/status"))) {
		if strings.HasPrefix(line, "VmHWM") {
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return ""
}

func TestAYearIsReadInLittleMemory(t *testing.T) {
	if os.Getenv("CONNTALLY_LONG") == "" {
		t.Skip("fills 900,000 rows: CONNTALLY_LONG=1 does it")
	}
	path := filepath.Join(memoryDir(t), "history.db")
	fillYear(t, path)
	cmd := exec.Command(os.Args[0], "-test.run=^TestYearReader$")
	cmd.Env = append(os.Environ(), yearVariable+"="+path, "GOGC=50")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	var kib int
	last := out[strings.LastIndex(string(out), "VmHWM:"):]
	if _, err := fmt.Sscanf(string(last), "VmHWM: %d kB", &kib); err != nil || kib > 30<<10 {
		t.Errorf("%d KiB, more than 30 MiB, %v", kib, err)
	}
}
