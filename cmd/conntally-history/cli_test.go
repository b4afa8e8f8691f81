package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCommandLineExitCodesAndOutput: of each command, with help and with mistakes.
func TestCommandLineExitCodesAndOutput(t *testing.T) {
	path := seedDatabase(t, 1)
	empty := emptyDatabase(t)
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	counting := filepath.Join(t.TempDir(), "counting.toml")
	if err := os.WriteFile(counting, []byte("[services]\nenable = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args           string
		code           int
		stdout, stderr string
	}{
		{"", 2, "", "no command given"},
		{"reprot", 2, "", `"reprot" is not a command; did you mean report?`},
		{"help", 0, "conntally-history report", ""},
		{"help report", 0, "--by KIND", ""},
		{"version", 0, "conntally-history devel", ""},
		{"-V", 0, "conntally-history devel", ""},
		{"version --json", 0, `{"version":"devel"`, ""},

		{"report --database DB --month 2026-10", 0, "smart-tv", ""},
		{"report --database DB --by service --month 2026-10", 0, "unit1.service", ""},
		{"report --database DB --month 2026-10 --csv", 0, "device,name,up_bytes", "As of "},
		{"report --database DB --month 2026-10 --device LAPTOP", 0, "laptop", ""},
		{"report --database EMPTY", 0, "nothing\n", ""},
		{"report --database EMPTY --by service", 0, "nothing\n\nServices are not counted: set " +
			"enable = true in [services]", ""},
		{"report --database EMPTY --by service --config COUNTING", 0, "nothing\n\nNo unit with " +
			"IPAccounting=yes", ""},
		{"report --database DB --device toaster", 1, "", `report: "toaster": no such device`},
		{"report --database /does/not/exist", 1, "", "report: no database at /does/not/exist: " +
			"conntally-history serve makes one"},
		{"report --database GARBAGE", 1, "", "report: GARBAGE: "},
		{"report --by devise", 2, "", "--by: want one of device, destination"},
		{"report --month 2026", 2, "", `--month "2026": want a month such as "2026-11"`},
		{"report --from tomorrow", 2, "", `--from "tomorrow": want a time such as`},
		{"report --from 7d --to monday", 2, "", `--to "monday": want a time such as`},
		{"report --from today --to yesterday", 2, "", "has to end later"},
		{"report --to today", 2, "", "--to needs --from"},
		{"report --month 2026-10 --from 7d", 2, "", "--month, or --from and --to"},
		{"report --billing-day 32", 2, "", "--billing-day: want a day from 1 to 31"},
		{"report --limit -1", 2, "", "--limit: want a number of rows"},
		{"report --csv --json", 2, "", "--json or --csv, not both"},
		{"report --by port --period hour", 2, "", "destinations are kept by day"},
		{"report --new --by device", 2, "", "only destinations are new"},
		{"report --quota --by device", 2, "", "--quota is about billing months: without --by"},
		{"report --quota --database DB", 2, "", "no quota is configured"},
		{"report --perid day", 2, "", "did you mean --period?"},
		{"report now", 2, "", `unexpected argument "now"`},
		{"report --config /does/not/exist", 2, "", "/does/not/exist"},

		{"serve --database /does/not/exist", 1, "", "serve: the database's directory /does/not is " +
			"missing: sudo mkdir -p /does/not, or --database FILE elsewhere\n"},

		{"check --database GARBAGE", 1, "fail  database", ""},
		{"check --database DB --config /does/not/exist", 2, "", "/does/not/exist"},
		{"check now", 2, "", `unexpected argument "now"`},

		{"export --database /does/not/exist", 1, "", "export: no database at"},
		{"export flows", 2, "", `export "flows": want usage, destinations or services`},
		{"export --from 7d --to 2020-01", 2, "", "--from is not before --to"},
		{"export --csv --json", 2, "", "--json or --csv, not both"},

		{"import --database /does/not/exist transfer/testdata/nlbw.json", 1, "", "no database at"},
		{"import --database EMPTY /does/not/exist", 1, "", "/does/not/exist"},
		{"import --database EMPTY transfer/testdata/nlbw.json", 2, "", "add --month, such as 2026-11"},
		{"import --database EMPTY transfer/testdata/vnstat.json", 1, "", "Add --interface"},
		{"import --database EMPTY cli_test.go", 1, "", "want CSV or JSON of conntally-history export"},
		{"import --database GARBAGE transfer/testdata/nlbw.json --month 2026-10", 1, "", "GARBAGE"},
		{"import --month october", 2, "", `--month "october": want a month`},
	} {
		files := strings.NewReplacer("DB", path, "EMPTY", empty, "GARBAGE", garbage,
			"COUNTING", counting)
		code, stdout, stderr := execute(strings.Fields(files.Replace(c.args))...)
		if code != c.code || !strings.Contains(stdout, c.stdout) ||
			!strings.Contains(stderr, files.Replace(c.stderr)) {
			t.Errorf("conntally-history %s: exit %d, want %d\nstdout: %s\nstderr: %s", c.args, code,
				c.code, stdout, stderr)
		}
		if code != 0 && strings.Contains(stdout, "rows added") {
			t.Errorf("conntally-history %s failed, but says %q", c.args, stdout)
		}
	}
	if _, err := os.Stat(garbage); err != nil {
		t.Error("an import set a damaged database aside")
	}
}

// TestQuotaSetsTheExitStatus: for scripts, with the names of what is exceeded.
func TestQuotaSetsTheExitStatus(t *testing.T) {
	path := seedDatabase(t, 2)
	file := filepath.Join(t.TempDir(), "history.toml")
	for quota, want := range map[string]int{"1kB": 1, "1000TB": 0} {
		text := `
[[device]]
name  = "smart-tv"
mac   = ["02:00:00:00:00:01"]
quota = "` + quota + `"
[report]
quota = "2000TB"
`
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := execute("report", "--quota", "--month", "2026-10", "--config", file,
			"--database", path)
		if code != want || !strings.Contains(stdout, "smart-tv") ||
			!strings.Contains(stdout, "all devices") ||
			strings.Contains(stderr, "quota exceeded: smart-tv\n") != (want == 1) {
			t.Errorf("%s: exit %d, want %d\n%s%s", quota, code, want, stdout, stderr)
		}
	}
}
