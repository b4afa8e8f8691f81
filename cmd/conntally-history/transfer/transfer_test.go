package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/text"
)

func berlin(t testing.TB) Options {
	t.Helper()
	location, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Calendar: usage.Calendar{Location: location}}
}

// readAll returns the rows of a file as text, sorted.
func readAll(t *testing.T, file string, o Options) ([]string, error) {
	t.Helper()
	var all []string
	err := Read(strings.NewReader(file), o, func(r *store.ImportRow) error {
		all = append(all, fmt.Sprint(formatStart(r.Period, r.Start), " ", r.ID, " ", r.Name, " ",
			r.MAC, " ", r.Addresses, " ", r.WAN, " ", r.LAN))
		return nil
	})
	slices.Sort(all)
	return all, err
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestNlbwmonIsAddedUpByDevice: what it received is what a device downloaded, in one month.
func TestNlbwmonIsAddedUpByDevice(t *testing.T) {
	o := berlin(t)
	o.Month = time.Date(2026, 10, 1, 0, 0, 0, 0, o.Calendar.Location)
	want := []string{
		"2026-10 02:00:00:00:00:01  02:00:00:00:00:01 [192.0.2.122 2001:db8::122] " +
			"{350000 6000000 2300 4900} {0 0 0 0}",
		"2026-10 02:00:00:00:00:02  02:00:00:00:00:02 [192.0.2.7] {4000 9000 61 60} {0 0 0 0}",
		"2026-10 192.0.2.9   [192.0.2.9] {84 84 1 1} {0 0 0 0}",
	}
	tabs := testdata(t, "nlbw.csv")
	for name, file := range map[string]string{
		"json": testdata(t, "nlbw.json"), "csv": tabs,
		"csv -s;":    strings.ReplaceAll(tabs, "\t", ";"),
		"csv -s, -q": strings.NewReplacer("\t", ",", `"`, "").Replace(tabs),
	} {
		if got, err := readAll(t, file, o); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v\n%s", name, err, strings.Join(got, "\n"))
		}
		if _, err := readAll(t, file, berlin(t)); !errors.Is(err, ErrMonth) {
			t.Errorf("%s without a month: %v", name, err)
		}
	}
}

// TestVnstatIsTakenAsFineAsItAddsUp: October has lost most of its days, and 2 November most of
// its hours.
func TestVnstatIsTakenAsFineAsItAddsUp(t *testing.T) {
	o := berlin(t)
	o.Interface = "eth0"
	want := []string{
		"2026-09 vnstat/eth0 eth0 (vnStat)  [] {200 2000 0 0} {0 0 0 0}",
		"2026-10 vnstat/eth0 eth0 (vnStat)  [] {430 4300 0 0} {0 0 0 0}",
		"2026-11-01 vnstat/eth0 eth0 (vnStat)  [] {60 600 0 0} {0 0 0 0}",
		"2026-11-02 vnstat/eth0 eth0 (vnStat)  [] {10 100 0 0} {0 0 0 0}",
		"2026-11-03T00:00:00+01:00 vnstat/eth0 eth0 (vnStat)  [] {20 200 0 0} {0 0 0 0}",
		"2026-11-03T01:00:00+01:00 vnstat/eth0 eth0 (vnStat)  [] {10 100 0 0} {0 0 0 0}",
	}
	file := testdata(t, "vnstat.json")
	if got, err := readAll(t, file, o); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v\n%s", err, strings.Join(got, "\n"))
	}
	_, err := readAll(t, file, berlin(t))
	const which = "which interface is the uplink? Add --interface, one of eth0, lan0"
	if err == nil || err.Error() != which {
		t.Error(err)
	}
}

// randomRow returns a row that a database may hold. Names of devices may be anything.
func randomRow(r *rand.Rand, o Options) *store.ImportRow {
	names := []string{"", "smart-tv", "=1+1", "'quoted'", "a,\"b\"", "two\nlines", "冷蔵庫", "-", "\r\n",
		"''", "@x", "\ufeff"}
	row := &store.ImportRow{
		Period: store.ByHour + store.Period(r.IntN(3)),
		Device: usage.Device{ID: "d" + names[r.IntN(len(names))], Name: names[r.IntN(len(names))],
			Vendor: names[r.IntN(len(names))]},
	}
	at := time.Unix(r.Int64N(4e9), 0).In(o.Calendar.Location)
	hour, day := o.Calendar.Hour(at)
	switch row.Period {
	case store.ByHour:
		row.Start = time.Unix(int64(hour), 0).In(o.Calendar.Location)
	case store.ByDay:
		row.Start = o.Calendar.Start(day)
	case store.ByMonth:
		row.Start = o.Calendar.Start(day.Month().First())
	}
	if r.IntN(2) == 0 {
		row.MAC = "02:00:00:00:00:01"
		row.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	}
	for _, n := range counters(&row.Usage) {
		*n = r.Uint64N(maxCount) >> r.IntN(53)
	}
	return row
}

// TestWhatIsWrittenIsReadAgain: any row, in both formats. CSV keeps of a text what can be shown
// in one line.
func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	o := berlin(t)
	r := rand.New(rand.NewPCG(1, 2))
	var rows, cleaned []store.ImportRow
	var asJSON, asCSV bytes.Buffer
	lines, table := NewJSON(&asJSON), NewCSV(&asCSV)
	for range 2000 {
		row := randomRow(r, o)
		if err := errors.Join(lines.Write(row), table.Write(row)); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, *row)
		row.ID, row.Name, row.Vendor = text.Clean(row.ID), text.Clean(row.Name), text.Clean(row.Vendor)
		cleaned = append(cleaned, *row)
	}
	if err := errors.Join(lines.Flush(), table.Flush()); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]struct {
		text string
		want []store.ImportRow
	}{"JSON": {asJSON.String(), rows}, "CSV": {asCSV.String(), cleaned}} {
		n := 0
		err := Read(strings.NewReader(file.text), o, func(got *store.ImportRow) error {
			want := file.want[n]
			if len(got.Addresses) == 0 {
				got.Addresses = nil
			}
			if !reflect.DeepEqual(*got, want) {
				return fmt.Errorf("row %d: %+v, want %+v", n, *got, want)
			}
			n++
			return nil
		})
		if err != nil || n != len(rows) {
			t.Errorf("%s: %d rows of %d: %v", name, n, len(rows), err)
		}
	}
}

// TestDaysWithoutMidnight: clocks skip it in the Azores, and a day is still that day.
func TestDaysWithoutMidnight(t *testing.T) {
	azores, err := time.LoadLocation("Atlantic/Azores")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Calendar: usage.Calendar{Location: azores}}
	const vnstat = `{"vnstatversion":"2.10","jsonversion":"2","interfaces":[` +
		`{"name":"eth0","traffic":{"day":[` +
		`{"date":{"year":2026,"month":3,"day":29},"rx":1,"tx":1}]}}]}`
	for name, file := range map[string]string{
		"own": `{"period":"day","start":"2026-03-29","device":"a"}`, "vnStat": vnstat,
	} {
		got, err := readAll(t, file, o)
		if err != nil || len(got) != 1 || !strings.HasPrefix(got[0], "2026-03-29 ") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestMistakesInFilesAreExplained(t *testing.T) {
	o := berlin(t)
	o.Month = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	const row = `{"period":"day","start":"2026-11-29","device":"a"`
	for file, want := range map[string]string{
		"":                       ErrFormat.Error(),
		"hello":                  ErrFormat.Error(),
		"{}":                     ErrFormat.Error(),
		"\x00\x01":               ErrFormat.Error(),
		row + "}\n" + row + "\n": "line 2: unexpected end of JSON input",
		`{"period":"week","start":"2026-11-29","device":"a"}`: `line 1: period "week": want hour`,
		`{"period":"day","start":"2026-11-31","device":"a"}`:  `line 1: start "2026-11-31": want the`,
		`{"period":"day","start":"2026-11-29"}`:               "line 1: the device is missing",
		row + `,"up_bytes":-1}`:                               "line 1: json: cannot unmarshal number -1",
		row + `,"up_bytes":18446744073709551615}`:             "line 1: a count above 2^53",
		row + `,"name":"` + strings.Repeat("x", 2000) + `"}`:  "line 1: a text of 2000 bytes",
		"period,start\n":                                             "column device is missing",
		"rx_bytes,tx_bytes\n":                                        "column rx_pkts is missing",
		"mac,mac,rx_bytes,tx_bytes\n":                                "column mac is there twice",
		`{"columns":["rx_bytes"],"data":5}`:                          "json: cannot unmarshal number",
		`{"vnstatversion":"1.18","jsonversion":"1","interfaces":[]}`: `jsonversion "1" of vnStat: want 2`,
		`{"vnstatversion":"2.10","jsonversion":"2","interfaces":[]}`: "the file has no interface",
	} {
		if _, err := readAll(t, file, o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.60q: %v, want %s", file, err, want)
		}
	}
}

// TestALargeFileIsNotImportedInPart: not even where its limit is at the end of a line.
func TestALargeFileIsNotImportedInPart(t *testing.T) {
	o := berlin(t)
	o.Month = time.Date(2026, 10, 1, 0, 0, 0, 0, o.Calendar.Location)
	const head = "mac\trx_bytes\trx_pkts\ttx_bytes\ttx_pkts\tpadding\n"
	row := func(size int) string {
		const begin = "02:00:00:00:00:01\t1\t1\t1\t1\t"
		return begin + strings.Repeat("x", size-len(begin)-1) + "\n"
	}
	whole := head + row(1<<20-len(head)) + strings.Repeat(row(1<<20), maxWhole>>20-1)
	const sum = "2026-10 02:00:00:00:00:01  02:00:00:00:00:01 [] {64 64 64 64} {0 0 0 0}"
	if got, err := readAll(t, whole, o); err != nil || !slices.Equal(got, []string{sum}) {
		t.Errorf("%d bytes: %v, %v", len(whole), got, err)
	}
	got, err := readAll(t, whole+row(1<<10), o)
	if err == nil || err.Error() != "the file is larger than 64 MiB" || len(got) > 0 {
		t.Errorf("a line more: %v, %v", got, err)
	}
}

func TestReadingEndsWithTheFirstError(t *testing.T) {
	full, n := errors.New("full"), 0
	err := Read(strings.NewReader(strings.Repeat(
		`{"period":"day","start":"2026-11-29","device":"a"}`+"\n", 9)), berlin(t),
		func(*store.ImportRow) error { n++; return full })
	if !errors.Is(err, full) || n != 1 {
		t.Errorf("%d rows: %v", n, err)
	}
}

// FuzzRead: no file panics, and each row that is read can be written and read again.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"nlbw.json", "nlbw.csv", "vnstat.json"} {
		f.Add(testdata(f, name))
	}
	f.Add(`{"period":"hour","start":"2026-11-29T10:00:00Z","device":"a","addresses":["::1"]}`)
	f.Add(strings.Join(header(), ",") + "\nday,2026-11-29,a,'=b,,,192.0.2.1,1,2,3,4,5,6,7,8\n")
	o := berlin(f)
	o.Month, o.Interface = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), "eth0"
	f.Fuzz(func(t *testing.T, file string) {
		_ = Read(strings.NewReader(file), o, func(row *store.ImportRow) error {
			var b bytes.Buffer
			w := NewJSON(&b)
			if err := errors.Join(w.Write(row), w.Flush()); err != nil {
				t.Fatal(err)
			}
			n := 0
			err := Read(&b, o, func(again *store.ImportRow) error {
				n++
				if again.Usage != row.Usage || again.Period != row.Period {
					t.Errorf("%+v, want %+v", again, row)
				}
				return nil
			})
			if err != nil || n != 1 {
				t.Errorf("%d rows of %+v: %v", n, row, err)
			}
			return nil
		})
	})
}
