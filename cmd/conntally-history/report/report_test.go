package report

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/text"
)

var update = flag.Bool("update", false, "write the golden files")

func zone(t *testing.T, name string) usage.Calendar {
	t.Helper()
	location, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return usage.Calendar{Location: location}
}

// fixed is a Source with the same answers for each span.
type fixed struct {
	devices      []store.DeviceRow
	destinations []store.DestinationRow
	services     []store.ServiceRow
	exporters    []store.ExporterRow
	losses       usage.Losses
	extent       store.Extent
	span         store.Span // that was asked for last
	missingTo    time.Time  // to when losses were asked for last
}

func (f *fixed) Devices(_ context.Context, s store.Span) ([]store.DeviceRow, error) {
	f.span = s
	return slices.Clone(f.devices), nil
}

func (f *fixed) EachDestination(
	_ context.Context, s store.Span, fn func(*store.DestinationRow) error,
) error {
	f.span = s
	for i := range f.destinations {
		if err := fn(&f.destinations[i]); err != nil {
			return err
		}
	}
	return nil
}

func (f *fixed) Services(context.Context, store.Span) ([]store.ServiceRow, error) {
	return f.services, nil
}

func (f *fixed) Exporters(context.Context, store.Span) ([]store.ExporterRow, error) {
	return f.exporters, nil
}

func (f *fixed) Losses(_ context.Context, _, to time.Time) (usage.Losses, error) {
	f.missingTo = to
	return f.losses, nil
}

func (f *fixed) Extent(context.Context) (store.Extent, error) { return f.extent, nil }

func (f *fixed) Lookup(_ context.Context, device string) (usage.Device, bool, error) {
	for _, row := range f.devices {
		if row.ID == device || row.Name == device {
			return row.Device, true, nil
		}
	}
	return usage.Device{}, false, nil
}

// home is a small household in the middle of November 2026.
func home(c usage.Calendar) *fixed {
	at := func(day, hour, minute int) time.Time {
		return time.Date(2026, 11, day, hour, minute, 0, 0, c.Location)
	}
	device := func(id, name string, wan, lan usage.Counters) store.DeviceRow {
		return store.DeviceRow{Start: at(1, 0, 0), Device: usage.Device{ID: id, Name: name},
			Usage: usage.Usage{WAN: wan, LAN: lan}}
	}
	destination := func(
		device, name, remote string, protocol uint8, port uint16, n uint64, first, last time.Time,
	) store.DestinationRow {
		a, _ := netip.ParseAddr(remote)
		return store.DestinationRow{Start: at(14, 0, 0), Device: device, Name: name,
			Destination: usage.Destination{Remote: a, Protocol: protocol, Port: port},
			DestinationUsage: usage.DestinationUsage{
				Usage:      usage.Usage{WAN: usage.Counters{UpBytes: n, DownBytes: 3 * n}},
				UpContacts: n / 1000, DownContacts: n / 1001, First: first, Last: last,
			},
			New: port == 8883,
		}
	}
	const tv, phone = "02:00:00:00:00:01", "02:00:00:00:00:02"
	return &fixed{
		devices: []store.DeviceRow{
			device(tv, "smart-tv", usage.Counters{UpBytes: 1_200_000_000, DownBytes: 34_000_000_000,
				UpPackets: 9_000_000, DownPackets: 25_000_000}, usage.Counters{UpBytes: 5_000}),
			device(phone, "=cmd|' /C calc'!A0", usage.Counters{UpBytes: 640_000_000,
				DownBytes: 5_100_000_000, UpPackets: 1_000_000, DownPackets: 4_000_000},
				usage.Counters{DownBytes: 5_000}),
			device("192.0.2.200", "", usage.Counters{UpBytes: 1_000}, usage.Counters{}),
			device("other", "", usage.Counters{}, usage.Counters{}),
		},
		destinations: []store.DestinationRow{
			destination(tv, "smart-tv", "198.51.100.20", 6, 8883, 2_880_000, at(14, 0, 0),
				at(14, 23, 59)),
			destination(tv, "smart-tv", "2001:db8:1:2:3:4:5:6", 17, 443, 31_000_000, at(14, 20, 0),
				at(14, 20, 0)),
			destination(phone, "=cmd|' /C calc'!A0", "198.51.100.20", 6, 8883, 1000, at(14, 8, 0),
				at(14, 8, 0)),
			destination(phone, "=cmd|' /C calc'!A0", "", 0, 0, 77_000, at(14, 8, 0), at(14, 9, 0)),
		},
		services: []store.ServiceRow{
			{Start: at(1, 0, 0), Unit: "nginx.service",
				Counters: usage.Counters{UpBytes: 7_000_000, DownBytes: 90_000}},
			{Start: at(1, 0, 0), Unit: "sshd.service", Counters: usage.Counters{UpBytes: 5_000}},
		},
		exporters: []store.ExporterRow{{
			Start:    at(1, 0, 0),
			Exporter: usage.Exporter{Address: netip.MustParseAddr("127.0.0.1"), Version: 10},
			Intake: usage.Intake{Datagrams: 1000, Records: 20_000, Bytes: 40_000_000_000,
				MissingRecords: 12},
		}},
		losses: usage.Losses{
			Intake: usage.Intake{MissingRecords: 12, UnknownSets: 1},
			Absent: []usage.Absence{
				{From: at(2, 1, 0), To: at(2, 1, 10)}, {From: at(3, 1, 0), To: at(3, 1, 10)},
				{From: at(4, 1, 0), To: at(4, 1, 10)}, {From: at(5, 1, 0), To: at(5, 1, 30), Crash: true},
			},
		},
		extent: store.Extent{First: at(1, 0, 0), Flushed: at(15, 12, 0)},
	}
}

func now(c usage.Calendar) time.Time { return time.Date(2026, 11, 15, 12, 3, 0, 0, c.Location) }

// queries are reports of the household by the names of their golden files.
func queries(c usage.Calendar) map[string]Query {
	from, to := BillingMonth(c, now(c), 1)
	day, end := c.Start(c.Day(now(c))-1), c.Start(c.Day(now(c)))
	return map[string]Query{
		"device":      {By: Device, From: from, To: to, Month: true},
		"device-all":  {By: Device, From: from, To: to, Scope: All, Limit: 1},
		"device-day":  {By: Device, From: from, To: to, Period: store.ByDay, Scope: LAN},
		"destination": {By: Destination, From: day, To: end},
		"new":         {By: Destination, From: day, To: end, New: true, Device: "smart-tv"},
		"port":        {By: Port, From: day, To: end},
		"service":     {By: Service, From: from, To: to, Period: store.ByMonth},
		"exporter":    {By: Exporter, From: from, To: to},
		"total":       {By: Total, From: from, To: to, Month: true},
	}
}

// TestReportsOfAHousehold compares each kind of report with its golden file: for a pipe, for
// terminals of 80 and 60 columns, as JSON and as CSV.
func TestReportsOfAHousehold(t *testing.T) {
	c := zone(t, "Europe/Berlin")
	for name, q := range queries(c) {
		if err := q.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r, err := Build(context.Background(), home(c), c, q, now(c))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var b bytes.Buffer
		for _, columns := range []int{0, 80, 60} {
			fmt.Fprintf(&b, "--- %d columns\n", columns)
			var page bytes.Buffer
			if err := r.Text(Page{Out: &page, Columns: columns}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for line := range strings.Lines(page.String()) {
				if n := text.Width(strings.TrimSuffix(line, "\n")); columns > 0 && n > columns {
					t.Errorf("%s: %d columns for %d: %s", name, n, columns, line)
				}
			}
			page.WriteTo(&b) //nolint:errcheck // to memory
		}
		fmt.Fprintln(&b, "--- JSON")
		if err := r.JSON(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		fmt.Fprintln(&b, "--- CSV")
		if err := r.CSV(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		golden(t, name, b.String())
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || got != string(want) {
		t.Errorf("%s (%v): run go test -update, and look at the difference:\n%s", path, err, got)
	}
}

// TestCSVHasTheKeysOfJSON: of each kind of report, in the order of CSV.
func TestCSVHasTheKeysOfJSON(t *testing.T) {
	c := zone(t, "UTC")
	for name, q := range queries(c) {
		r, err := Build(context.Background(), home(c), c, q, now(c))
		if err != nil {
			t.Fatal(err)
		}
		var asJSON, asCSV bytes.Buffer
		if err := errors.Join(r.JSON(&asJSON), r.CSV(&asCSV)); err != nil {
			t.Fatal(err)
		}
		var object struct{ Rows []map[string]any }
		if err := json.Unmarshal(asJSON.Bytes(), &object); err != nil {
			t.Fatal(err)
		}
		heads, err := csv.NewReader(&asCSV).Read()
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(heads)
		if keys := slices.Sorted(maps.Keys(object.Rows[0])); !slices.Equal(keys, heads) {
			t.Errorf("%s: JSON has %q, CSV %q", name, keys, heads)
		}
	}
}

// TestNoCellIsAFormula: spreadsheets compute what begins with one of a few characters. What a
// cell was made of can be had back.
func TestNoCellIsAFormula(t *testing.T) {
	for name, want := range map[string]string{
		"smart-tv": "smart-tv", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)",
		"\t=1": "'\ufffd=1", "'=1": "''=1", "'": "''", "": "", "a,\"b\"": "a,\"b\"", "a\nb": "a\ufffdb",
		"\uff1d1": "'\uff1d1", "\u200b=1": "'=1", "10.0.0.1": "10.0.0.1",
	} {
		if name == "\t=1" {
			want = "\ufffd=1" // no longer begins with what a spreadsheet skips
		}
		got := Cell(name)
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		if back := Uncell(got); back != text.Clean(name) {
			t.Errorf("%q: back from %q: %q", name, got, back)
		}
	}
}

func TestUnknownDeviceIsAnError(t *testing.T) {
	c := zone(t, "UTC")
	q := queries(c)["device"]
	q.Device = "toaster"
	_, err := Build(context.Background(), home(c), c, q, now(c))
	if !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), `"toaster"`) {
		t.Error(err)
	}
}

// TestLimitKeepsTheLargest: of more rows than are kept in memory at once, in any order.
func TestLimitKeepsTheLargest(t *testing.T) {
	c := zone(t, "UTC")
	source := home(c)
	source.destinations = nil
	const n = 5*spare + 7
	whole := uint64(0)
	for i := range n {
		moved := uint64(i*7919%n + 1)
		whole += moved
		source.destinations = append(source.destinations, store.DestinationRow{
			Destination: usage.Destination{
				Remote: netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)})},
			DestinationUsage: usage.DestinationUsage{
				Usage: usage.Usage{WAN: usage.Counters{UpBytes: moved}}},
		})
	}
	q := queries(c)["destination"]
	q.Limit = 3
	r, err := Build(context.Background(), source, c, q, now(c))
	if err != nil {
		t.Fatal(err)
	}
	got := uint64(0)
	for i, row := range r.Rows {
		if got += row.Traffic.UpBytes; row.Traffic.UpBytes != uint64(n-i) {
			t.Errorf("row %d: %d", i, row.Traffic.UpBytes)
		}
	}
	if r.Omitted != n-3 || r.rest.WAN.UpBytes != whole-got || r.sum.WAN.UpBytes != whole {
		t.Errorf("%d omitted with %d of %d", r.Omitted, r.rest.WAN.UpBytes, whole)
	}
}

// TestDestinationsOutsideTheScopeAreLeftOut, but not out of the sums.
func TestDestinationsOutsideTheScopeAreLeftOut(t *testing.T) {
	c := zone(t, "UTC")
	source := home(c)
	source.destinations = append(source.destinations, store.DestinationRow{
		Destination: usage.Destination{Remote: netip.MustParseAddr("192.0.2.3"), Protocol: 6, Port: 445},
		DestinationUsage: usage.DestinationUsage{
			Usage: usage.Usage{LAN: usage.Counters{UpBytes: 1000}}},
	})
	q := queries(c)["destination"]
	for scope, want := range map[Scope]int{WAN: 4, LAN: 1, All: 5} {
		q.Scope = scope
		r, err := Build(context.Background(), source, c, q, now(c))
		if err != nil || len(r.Rows) != want || r.sum.LAN.UpBytes != 1000 {
			t.Errorf("%v: %d rows, want %d; %+v; %v", scope, len(r.Rows), want, r.sum, err)
		}
	}
}

// TestNothingIsMissingYet: of the time to come: a service that is stopped now may run again.
func TestNothingIsMissingYet(t *testing.T) {
	c := zone(t, "UTC")
	source := home(c)
	q := queries(c)["device"]
	if _, err := Build(context.Background(), source, c, q, now(c)); err != nil {
		t.Fatal(err)
	}
	if !source.missingTo.Equal(now(c)) {
		t.Errorf("losses until %v, want %v", source.missingTo, now(c))
	}
}

func TestEstimateIsLinear(t *testing.T) {
	c := zone(t, "UTC")
	from, to := BillingMonth(c, now(c), 1)
	half := from.AddDate(0, 0, 15)
	counters := usage.Counters{UpBytes: 1000, DownBytes: 100}
	for name, c := range map[string]struct {
		first, flushed, now time.Time
		want                uint64 // 0 is no estimate
	}{
		"half of the month": {from, half, half, 2000},
		"known for its latest third": {from.AddDate(0, 0, 10), from.AddDate(0, 0, 20),
			from.AddDate(0, 0, 20), 2000},
		"known for longer": {from.AddDate(-1, 0, 0), half, half, 2000},
		"too little known": {from, from.Add(5 * time.Hour), from.Add(5 * time.Hour), 0},
		"over":             {from, to.Add(-time.Minute), to, 0},
		"not begun":        {from.AddDate(-1, 0, 0), from.Add(-time.Hour), from.Add(-time.Hour), 0},
		"never written":    {time.Time{}, time.Time{}, half, 0},
		"nothing counted":  {time.Time{}, half, half, 0},
		"clock was ahead":  {from, to.Add(time.Hour), half, 0},
	} {
		e := EstimateMonth(counters, from, to, store.Extent{First: c.first, Flushed: c.flushed}, c.now)
		if (e != nil) != (c.want > 0) || e != nil && e.UpBytes != c.want {
			t.Errorf("%s: %+v, want %d", name, e, c.want)
		}
	}
}

func TestQuotasCountWhatTheyAreAbout(t *testing.T) {
	c := zone(t, "Europe/Berlin")
	source := home(c)
	source.devices = append(source.devices,
		store.DeviceRow{Device: usage.Device{ID: "02:00:00:00:00:09", Name: "smart-tv"},
			Usage: usage.Usage{WAN: usage.Counters{UpBytes: 1 << 50}}},
		store.DeviceRow{Device: usage.Device{ID: usage.Router, Name: "gateway"},
			Usage: usage.Usage{WAN: usage.Counters{DownBytes: 7}}})
	from, to := BillingMonth(c, now(c), 1)
	q, err := BuildQuotas(context.Background(), source, from, to, []Quota{
		{Name: "smart-tv", IDs: []string{"02:00:00:00:00:01"}, Bytes: 30_000_000_000},
		{Name: "phone", IDs: []string{"192.0.2.7", "02:00:00:00:00:02"}, Bytes: 10_000_000_000},
		{Name: "printer", IDs: []string{"192.0.2.8"}, Bytes: 1},
		{Name: "gateway", IDs: []string{"192.0.2.1"}, Bytes: 1_000_000},
		{Bytes: 1 << 60},
	}, now(c))
	if err != nil {
		t.Fatal(err)
	}
	if !q.Exceeded() {
		t.Error("no quota is exceeded")
	}
	var b bytes.Buffer
	for _, columns := range []int{0, 80, 60} {
		fmt.Fprintf(&b, "--- %d columns\n", columns)
		if err := q.Text(Page{&b, columns}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(q.JSON(&b), q.CSV(&b)); err != nil {
		t.Fatal(err)
	}
	golden(t, "quota", b.String())
}

func TestReportWithoutAnything(t *testing.T) {
	c := zone(t, "UTC")
	var b bytes.Buffer
	for name, q := range queries(c) {
		q.Device = ""
		r, err := Build(context.Background(), &fixed{}, c, q, now(c))
		if err != nil {
			t.Fatal(err)
		}
		b.Reset()
		if err := r.Text(Page{Out: &b}); err != nil {
			t.Fatal(err)
		}
		why := ""
		if q.By == Service {
			why = r.noServices() + "\n"
		}
		if !strings.HasSuffix(b.String(), "\nnothing\n\n"+why+
			"Nothing is known to be missing.\nNothing has been written yet.\n") {
			t.Errorf("%s: %s", name, &b)
		}
		b.Reset()
		if err := r.JSON(&b); err != nil || !strings.Contains(b.String(), `"rows":[]`) {
			t.Errorf("%s: %v: %s", name, err, &b)
		}
	}
}

func TestReportSaysThatDestinationsAreWrittenLate(t *testing.T) {
	c := zone(t, "UTC")
	today := Query{By: Destination, From: now(c).Add(-12 * time.Hour), To: now(c).Add(time.Second)}
	for name, q := range map[string]struct {
		Query
		late bool
	}{
		"destinations": {today, true},
		"ports":        {Query{By: Port, From: today.From, To: today.To}, true},
		"devices":      {Query{By: Device, From: today.From, To: today.To}, false},
		"yesterday":    {Query{By: Port, From: today.From.AddDate(0, 0, -1), To: today.From}, false},
	} {
		r, err := Build(context.Background(), home(c), c, q.Query, now(c))
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := r.Text(Page{Out: &b}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "once an hour") != q.late {
			t.Errorf("%s: %s", name, &b)
		}
	}
}

func TestBarsAreInProportion(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "", 1: "▏", 50: "████", 52: "████▏", 99: "███████▉", 100: "████████", 120: "████████",
	} {
		if got := bar(n, 100, 8); got != want {
			t.Errorf("%d of 100: %q, want %q", n, got, want)
		}
	}
}
