package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func parseUint(t *testing.T, s string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// must runs a command that succeeds, and returns its output.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, fault := execute(args...)
	if code != 0 {
		t.Fatalf("%s: exit %d: %s", args, code, fault)
	}
	return out
}

// emptyDatabase returns the path of one without usage.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.db")
	if err := openStore(t, path).Close(latest()); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestExportIsImportedAgain: into an empty database, whose export is then the same; a second
// import adds nothing, and the reports of both are equal.
func TestExportIsImportedAgain(t *testing.T) {
	path := seedDatabase(t, 11)
	for _, format := range []string{"--csv", "--json"} {
		copied := emptyDatabase(t)
		exported := must(t, "export", format, "--database", path)
		file := filepath.Join(t.TempDir(), "export")
		if err := os.WriteFile(file, []byte(exported), 0o600); err != nil {
			t.Fatal(err)
		}
		rows := strings.Count(exported, "\n")
		if format == "--csv" {
			rows--
		}
		want := strconv.Itoa(rows) + " rows added, 0 were there already or belong to what is\n"
		if got := must(t, "import", file, "--database", copied); got != want || rows < 100 {
			t.Errorf("%s: %s, want %s", format, got, want)
		}
		if again := must(t, "export", format, "--database", copied); again != exported {
			t.Errorf("%s: the copy's export differs:\n%.2000s\nwant:\n%.2000s", format, again, exported)
		}
		want = "0 rows added, " + strconv.Itoa(rows) + " were there already or belong to what is\n"
		if got := must(t, "import", file, "--database", copied); got != want {
			t.Errorf("%s again: %s, want %s", format, got, want)
		}
		for _, report := range []string{"--period month", "--period day", "--scope lan"} {
			args := strings.Fields("report --csv --from 2026-08 --to 2026-11 " + report + " --database")
			if got, want := must(t, append(args, copied)...), must(t, append(args, path)...); got != want {
				t.Errorf("%s: %s differs:\n%s\nwant:\n%s", format, report, got, want)
			}
		}
	}
}

// TestImportWhileServiceWrites: both open the database at once, and neither loses anything.
func TestImportWhileServiceWrites(t *testing.T) {
	path := seedDatabase(t, 12)
	s := openStore(t, path)
	defer s.Close(latest())
	file := "transfer/testdata/nlbw.json"
	must(t, "import", "--month", "2020-10", file, "--database", path)
	out := must(t, "report", "--month", "2020-10", "--database", path)
	if !strings.Contains(out, "6.0 MB") {
		t.Errorf("the report has no download of 6 MB:\n%s", out)
	}
	if err := s.Prune(t.Context(), latest()); err != nil {
		t.Error(err)
	}
}

func TestOtherKindsAreExported(t *testing.T) {
	path := seedDatabase(t, 13)
	for args, want := range map[string]string{
		"destinations --csv":                    "start,device,name,remote,protocol,port,inbound,new,",
		"destinations --json --from 2026-11-28": `{"start":"2026-11-2`,
		"services":                              "start,service,up_bytes,down_bytes,up_packets,down_p",
		"services --json":                       `"service":"unit`,
		"usage --from 2026-11-28 --json":        `{"period":"hour","start":"2026-11-2`,
	} {
		out := must(t, append(strings.Fields("export "+args), "--database", path)...)
		if !strings.Contains(out, want) || strings.Count(out, "\n") < 3 {
			t.Errorf("export %s: %.300s, want %s", args, out, want)
		}
	}
}
