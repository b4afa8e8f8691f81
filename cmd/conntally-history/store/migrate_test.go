package store

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"database/sql"
)

var update = flag.Bool("update", false, "rewrite golden files") //nolint:gochecknoglobals // a flag

// exampleStore has rows in each table, written and pruned as a program does.
func exampleStore(t *testing.T, path string) *Store {
	t.Helper()
	s := open(t, path, noon(), testOptions(t))
	for n, at := range []time.Time{noon().AddDate(-4, 0, 0), noon().AddDate(0, 0, -70),
		noon().AddDate(0, 0, -1), noon(), noon().Add(time.Hour)} {
		write(t, s, batchAt(s, at, "02:00:00:00:00:01", uint64(n+1)),
			batchAt(s, at, "192.0.2.7", uint64(10*n+1)))
		prune(t, s, at)
	}
	prune(t, s, noon())
	// By device only, as after a crash.
	b := batchAt(s, noon(), "192.0.2.7", 1000)
	b.Destinations = nil
	write(t, s, b)
	return s
}

// A database of each older version is brought up to date, with all that it has.
func TestOlderVersionsAreBroughtUpToDate(t *testing.T) {
	for _, name := range []string{"version1.sql"} {
		t.Run(name, func(t *testing.T) {
			golden := filepath.Join("testdata", name)
			path := filepath.Join(t.TempDir(), "history.db")
			if *update && name == "version1.sql" && len(steps()) == 1 {
				s := exampleStore(t, path)
				out := "PRAGMA application_id = 1668574329;\nPRAGMA user_version = 1;\n" +
					sqliteProgram(t, path, ".dump")
				put(t, golden, []byte(out))
				_ = s.Close(noon())
				clean(t, path)
			}
			db, err := sql.Open("sqlite", fileURL(path, nil))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(string(content(t, golden))); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			s := open(t, path, noon(), testOptions(t))
			fresh := exampleStore(t, filepath.Join(t.TempDir(), "history.db"))
			if got, want := total(t, s), total(t, fresh); got != want {
				t.Errorf("%v, not %v", got, want)
			}
			if got, want := tables(t, s), tables(t, fresh); got != want {
				t.Errorf("tables and views of an older database are others than those of a new "+
					"one. A change of schema.sql is a new step in migrate.go.\n%s\nnot\n%s", got, want)
			}
			if err := use(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

// tables returns all of the schema, without comments and white space.
func tables(t *testing.T, s *Store) string {
	t.Helper()
	var all []string
	err := query(t.Context(), s.db, func(scan scanner) error {
		var text string
		err := scan(&text)
		var kept []string
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "--")
			kept = append(kept, strings.Fields(line)...)
		}
		all = append(all, strings.Join(kept, " "))
		return err
	}, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

func TestAStepThatFailsLeavesTheDataBaseAsItWas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	db, err := sql.Open("sqlite", fileURL(path, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // not what is tested
	if _, err := db.Exec("CREATE TABLE counted (a)"); err != nil {
		t.Fatal(err)
	}
	if err := step(t.Context(), db, 0); err == nil {
		t.Fatal("the table was there already")
	}
	var n, version int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil || n != 1 {
		t.Error(n, "tables", err)
	}
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != 0 {
		t.Error("version", version, err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}
