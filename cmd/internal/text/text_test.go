package text

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestSizesFitTheirColumns(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 1234: "1.2 kB", 99_949: "99.9 kB",
		99_950: "100 kB", 999_499: "999 kB", 999_500: "1.0 MB", 1_234_567_890: "1.2 GB",
		12e15: "12.0 PB", math.MaxUint64: "18.4 EB",
	} {
		if got := Bytes(n); got != want || len(got) > 8 {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestRatesFitTheirColumns(t *testing.T) {
	for rate, want := range map[float64]string{
		0: "0 bit/s", -1: "0 bit/s", math.Inf(1): "9999 Ebit/s", 999.6: "1.0 kbit/s",
		12.3e6: "12.3 Mbit/s", 100e9: "100 Gbit/s", 1e30: "9999 Ebit/s",
	} {
		if got := BitRate(rate); got != want || len(got) > 11 {
			t.Errorf("%g: %q, want %q", rate, got, want)
		}
	}
	if got := BitRate(math.NaN()); got != "0 bit/s" {
		t.Errorf("not a number: %q", got)
	}
}

func TestDurationsFitTheirColumns(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 9 * time.Second: "9s", 65 * time.Second: "1m05s",
		50 * time.Minute: "50m", 187 * time.Minute: "3h07m",
		59*time.Minute + 59600*time.Millisecond: "1h00m",
		300 * time.Hour:                         "12d", math.MaxInt64: "106751d",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestCutFitsAnyNameIntoItsColumns(t *testing.T) {
	for _, c := range []struct {
		name    string
		columns int
		want    string
	}{
		{"smart-tv", 8, "smart-tv"},
		{"smart-tv", 7, "smart-…"},
		{"smart-tv", 1, "…"},
		{"smart-tv", 0, ""},
		{"冷蔵庫", 6, "冷蔵庫"},
		{"冷蔵庫", 5, "冷蔵…"},
		{"冷蔵庫", 4, "冷…"}, // 冷蔵… would be 5
		{"e\u0301te\u0301", 3, "e\u0301te\u0301"},
		{"a\x1b[31mb", 20, "a\ufffd[31mb"},
		{"a\u202eb\u200bc", 20, "abc"},
		{"a\nb\x9bc", 20, "a\ufffdb\ufffdc"},
		{"bad \xff", 20, "bad \ufffd"},
		{"z" + strings.Repeat("\u0300", 50), 20, "z\u0300\u0300"},
	} {
		if got := Cut(c.name, c.columns); got != c.want || Width(got) > c.columns {
			t.Errorf("%q in %d: %q, width %d, want %q", c.name, c.columns, got, Width(got), c.want)
		}
	}
	if got := CutMiddle("[2001:db8::1234:5678]:443", 15); got != "[2001:d…78]:443" {
		t.Errorf("%q", got)
	}
}

func TestWrapBreaksBetweenWords(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"one two  three":           "one two|three",
		"a verylongwordindeed end": "a|verylong|wordinde|ed end",
		"冷蔵庫冷蔵庫":                   "冷蔵庫冷|蔵庫",
	} {
		if got := strings.Join(Wrap(in, 8), "|"); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzCut(f *testing.F) {
	f.Add("smart-tv", 5)
	f.Add("冷蔵庫\x1b[2J", 4)
	f.Fuzz(func(t *testing.T, s string, columns int) {
		columns %= 200
		for name, got := range map[string]string{
			"Cut": Cut(s, columns), "CutMiddle": CutMiddle(s, columns),
		} {
			if !utf8.ValidString(got) || Width(got) > max(0, columns) {
				t.Errorf("%s of %q to %d: %q", name, s, columns, got)
			}
			for _, r := range got {
				if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
					t.Errorf("%s of %q to %d has a control character: %q", name, s, columns, got)
				}
			}
		}
		if got := Pad(s, columns, true); columns > 0 && Width(got) != columns {
			t.Errorf("Pad of %q to %d: %q", s, columns, got)
		}
	})
}

func testTable() *Table {
	t := &Table{Columns: []Column{
		{Head: "NAME", Flexible: true},
		{Head: "UP", Right: true, Least: 8},
		{Head: "DESTINATION", Flexible: true, Middle: true},
		{Head: "VENDOR", Optional: 1},
	}}
	t.Add("smart-tv", "1.2 GB", "198.51.100.20", "Example Electronics")
	t.Add("a notebook with a long name", "3 kB", "[2001:db8:77::1234:5678]:443", "-")
	return t
}

func TestTableFitsTheLine(t *testing.T) {
	for columns, want := range map[int]string{
		0: `
NAME                               UP  DESTINATION                   VENDOR
smart-tv                       1.2 GB  198.51.100.20                 Example Electronics
a notebook with a long name      3 kB  [2001:db8:77::1234:5678]:443  -
`,
		70: `
NAME                      UP  DESTINATION          VENDOR
smart-tv              1.2 GB  198.51.100.20        Example Electronics
a notebook with a…      3 kB  [2001:db8…5678]:443  -
`,
		45: `
NAME                    UP  DESTINATION
smart-tv            1.2 GB  198.51.100.20
a notebook with…      3 kB  [2001:db…678]:443
`,
		20: `
NAME        UP  DES…
sma…    1.2 GB  19…0
a n…      3 kB  [2…3
`,
	} {
		lines := testTable().Lines(columns)
		if got := "\n" + strings.Join(lines, "\n") + "\n"; got != want {
			t.Errorf("%d columns:%swant:%s", columns, got, want)
		}
		for _, line := range lines {
			if columns > 0 && Width(line) > columns {
				t.Errorf("%d columns for %d: %q", Width(line), columns, line)
			}
		}
	}
}

// TestFilledTableStandsStill: its columns don't move with what is in the flexible ones.
func TestFilledTableStandsStill(t *testing.T) {
	table := testTable()
	table.Fill = true
	for range 2 {
		want := "NAME                            UP  DESTINATION              VENDOR"
		if got := table.Lines(80)[0]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		table.Add(strings.Repeat("x", 50), "1 B", strings.Repeat("y", 50), "-")
	}
}
