package main

import (
	"encoding/csv"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/internal/command"
	"github.com/conntally/conntally/module/document"
)

// sqlite returns what the program sqlite3 prints for a query, as rows of cells.
func sqlite(t *testing.T, path, query string) [][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), need(t, "sqlite3"), "-readonly", "-csv", path, query)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", query, err, out)
	}
	return parseCSV(t, string(out))
}

func parseCSV(t *testing.T, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("%v:\n%s", err, text)
	}
	return rows
}

// reported returns columns of the rows of a report.
func reported(t *testing.T, path, args string, columns ...string) (rows [][]string) {
	t.Helper()
	line := "report --csv --limit 0 --database " + path + " " + args
	code, out, fault := execute(strings.Fields(line)...)
	if code != 0 {
		t.Fatalf("%s: exit %d: %s", args, code, fault)
	}
	table := parseCSV(t, out)
	for _, row := range table[1:] {
		var cells []string
		for _, column := range columns {
			i := slices.Index(table[0], column)
			if i < 0 {
				t.Fatalf("%s: no column %s of %q", args, column, table[0])
			}
			cells = append(cells, row[i])
		}
		rows = append(rows, cells)
	}
	return rows
}

// sameRows compares two tables without regard to the order of rows, or to the time of day of
// the report's first column if dates are compared.
func sameRows(t *testing.T, what string, got, want [][]string) {
	t.Helper()
	lines := func(rows [][]string) (all []string) {
		for _, row := range rows {
			all = append(all, strings.Join(row, "|"))
		}
		slices.Sort(all)
		return all
	}
	g, w := lines(got), lines(want)
	if !slices.Equal(g, w) || len(g) < 3 {
		t.Errorf("%s: %d rows, want %d:\n%s\nwant:\n%s", what, len(g), len(w), strings.Join(g, "\n"),
			strings.Join(w, "\n"))
	}
}

// cut shortens the first cells, which are times, to so many letters.
func cut(rows [][]string, letters int) [][]string {
	for _, row := range rows {
		row[0] = row[0][:letters]
	}
	return rows
}

// TestReportsEqualTheViews: what `report` prints is what sqlite3 finds in the documented views.
func TestReportsEqualTheViews(t *testing.T) {
	path := seedDatabase(t, 7)
	eight := []string{"up_bytes", "down_bytes", "up_packets", "down_packets", "lan_up_bytes",
		"lan_down_bytes", "lan_up_packets", "lan_down_packets"}
	sums := "sum(" + strings.Join(eight, "), sum(") + ")"
	all := strings.Join(eight, ", ")

	sameRows(t, "a month by device",
		reported(t, path, "--month 2026-10", slices.Concat([]string{"device"}, eight)...),
		sqlite(t, path, "SELECT device, "+all+" FROM usage_by_device_month WHERE month = '2026-10'"))
	sameRows(t, "days by device",
		cut(reported(t, path, "--period day --from 2026-08-15 --to 2026-11-03",
			slices.Concat([]string{"start", "device"}, eight)...), len("2026-08-15")),
		sqlite(t, path, "SELECT day, device, "+all+` FROM usage_by_device_day
			WHERE day BETWEEN '2026-08-15' AND '2026-11-03'`))
	sameRows(t, "a span of days by device",
		reported(t, path, "--from 2026-09-15 --to 2026-11-03",
			slices.Concat([]string{"device"}, eight)...),
		sqlite(t, path, "SELECT device, "+sums+` FROM usage_by_device_day
			WHERE day BETWEEN '2026-09-15' AND '2026-11-03' GROUP BY device`))
	sameRows(t, "hours of a device",
		reported(t, path, "--period hour --from 2026-11-20 --to 2026-11-29 --device smart-tv", eight...),
		sqlite(t, path, "SELECT "+all+` FROM usage_by_device_hour
			WHERE hour >= '2026-11-20' AND name = 'smart-tv'`))
	sameRows(t, "months in all",
		cut(reported(t, path, "--by total --period month --from 2026-08 --to 2026-11",
			slices.Concat([]string{"start"}, eight)...), len("2026-08")),
		sqlite(t, path, "SELECT month, "+sums+" FROM usage_by_device_month GROUP BY month"))
	sameRows(t, "destinations by day",
		cut(reported(t, path,
			"--by destination --scope all --period day --from 2026-11-01 --to 2026-11-29",
			slices.Concat([]string{"start", "device", "remote", "port"}, eight, []string{"connections"})...),
			len("2026-11-01")),
		sqlite(t, path, "SELECT day, device, remote, port, "+all+`, contacts FROM usage_by_destination_day
			WHERE day >= '2026-11-01'`))
	sameRows(t, "ports",
		reported(t, path, "--by port --scope all --from 2026-11-01 --to 2026-11-29",
			slices.Concat([]string{"port"}, eight, []string{"connections"})...),
		sqlite(t, path, "SELECT port, "+sums+`, sum(contacts) FROM usage_by_destination_day
			WHERE day >= '2026-11-01' GROUP BY protocol, port`))
	sameRows(t, "services by month",
		cut(reported(t, path, "--by service --period month --from 2026-08 --to 2026-11",
			"start", "service", "down_bytes", "up_bytes"), len("2026-08")),
		sqlite(t, path, "SELECT month, unit, in_bytes, out_bytes FROM usage_by_service_month"))
	sameRows(t, "exporters by month",
		cut(reported(t, path, "--by exporter --period month --from 2026-08 --to 2026-11", "start",
			"exporter", "records", "bytes", "missing_records"), len("2026-08")),
		sqlite(t, path, `SELECT month, exporter, records, bytes, missing_records
			FROM usage_by_exporter_month`))
}

// TestDestinationsAddUpToDevices: in a report, as in the views.
func TestDestinationsAddUpToDevices(t *testing.T) {
	path := seedDatabase(t, 8)
	const span = "--scope all --from 2026-10-15 --to 2026-11-29 "
	add := func(rows [][]string) (sum [4]uint64) {
		for _, row := range rows {
			for i, cell := range row {
				sum[i] += parseUint(t, cell)
			}
		}
		return sum
	}
	columns := []string{"up_bytes", "down_bytes", "lan_up_bytes", "lan_down_bytes"}
	want := add(reported(t, path, span+"--by device", columns...))
	if want[0] == 0 {
		t.Fatal("nothing was reported")
	}
	for _, by := range []string{"destination", "port", "total"} {
		if got := add(reported(t, path, span+"--by "+by, columns...)); got != want {
			t.Errorf("by %s: %d, want %d", by, got, want)
		}
	}
}

// TestDocumentedSQLAnswers runs each query of docs/history.md.
func TestDocumentedSQLAnswers(t *testing.T) {
	path := seedDatabase(t, 9)
	queries, err := document.Queries("../../docs/history.md")
	if err != nil || len(queries) < 6 {
		t.Errorf("%d queries were found, %v", len(queries), err)
	}
	for _, query := range queries {
		// Months are those of the tests' history, whatever the date is.
		query = strings.ReplaceAll(query, "'now'", "'2026-11-29'")
		if rows := sqlite(t, path, query); len(rows) == 0 {
			t.Errorf("no rows:\n%s", query)
		}
	}
}

// TestDocumentedReportsAreAnswered runs each report and export of each document, also those that
// stand within text.
func TestDocumentedReportsAreAnswered(t *testing.T) {
	database := seedDatabase(t, 10)
	config := filepath.Join(t.TempDir(), "history.toml")
	if err := os.WriteFile(config, []byte("[report]\nquota = \"1GB\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	paths, err := document.Paths("../..")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range paths {
		for _, line := range document.Mentions(path, read(t, path)) {
			line, _, _ = strings.Cut(strings.TrimPrefix(line, "sudo "), " || ")
			line = strings.ReplaceAll(line, `"$(date +%F)"`, "2026-11-29") // no shell runs it
			args := strings.Fields(line)
			if len(args) < 2 || args[0] != name || args[1] != "report" && args[1] != "export" {
				continue
			}
			found++
			args = append(args[1:], "--database", database, "--config", config)
			code, out, fault := execute(args...)
			exceeded := slices.Contains(args, "--quota") && code == command.ExitFailed
			if code != command.ExitDone && !exceeded || out == "" {
				t.Errorf("%s: %s: exit %d: %s%s", path, line, code, out, fault)
			}
		}
	}
	if found < 12 {
		t.Errorf("%d commands were found", found)
	}
}

// TestDocumentedCommands runs what documents do with the database by other programs.
func TestDocumentedCommands(t *testing.T) {
	commands, err := document.Unmarked("../..")
	if err != nil {
		t.Fatal(err)
	}
	need(t, "sqlite3")
	translate := strings.NewReplacer("sudo ", "", "/root/", t.TempDir()+"/",
		"/var/lib/conntally-history/history.db", seedDatabase(t, 11))
	found := 0
	for _, c := range commands {
		if !strings.Contains(c, "/var/lib/conntally-history/") {
			continue
		}
		found++
		out, err := exec.CommandContext(t.Context(), "sh", "-ec", translate.Replace(c)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s", c, err, out)
		}
	}
	if found < 2 {
		t.Errorf("%d commands were found", found)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
