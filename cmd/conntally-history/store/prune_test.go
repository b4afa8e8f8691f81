package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// rows counts the rows of a table.
func rows(t *testing.T, s *Store, table string) (n int) {
	t.Helper()
	if err := s.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func prune(t *testing.T, s *Store, now time.Time) {
	t.Helper()
	if err := s.Prune(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}

// total adds up all that is kept.
func total(t *testing.T, s *Store) (u usage.Usage) {
	t.Helper()
	for _, v := range devicesOf(t, s, Span{From: noon().AddDate(-20, 0, 0),
		To: noon().AddDate(20, 0, 0)}) {
		u.Add(v)
	}
	return u
}

func TestHoursBecomeDaysAndDaysMonthsWithoutLoss(t *testing.T) {
	s := openNew(t)
	s.options.Destinations = 0 // for ever
	random := rand.New(rand.NewPCG(9, 10))
	for range 300 {
		at := noon().Add(-time.Duration(random.IntN(5*365*24)) * time.Hour)
		write(t, s, batchAt(s, at, fmt.Sprint("device ", random.IntN(5)), random.Uint64N(1000)))
	}
	byMonth := Span{From: noon().AddDate(-6, 0, 0), To: noon().AddDate(1, 0, 0), Period: ByMonth}
	before := devicesOf(t, s, byMonth)
	exporters, err := s.Reader().Exporters(t.Context(), byMonth)
	if err != nil {
		t.Fatal(err)
	}
	prune(t, s, noon())
	after := devicesOf(t, s, byMonth)
	for k, want := range before {
		if after[k] != want {
			t.Errorf("%s: %v, not %v", k, after[k], want)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d rows, not %d", len(after), len(before))
	}
	exportersAfter, err := s.Reader().Exporters(t.Context(), byMonth)
	if err != nil || fmt.Sprint(exportersAfter) != fmt.Sprint(exporters) {
		t.Error(exportersAfter, "not", exporters, err)
	}
	today := s.options.Calendar.Day(noon())
	for _, test := range []struct{ query, what string }{
		{fmt.Sprintf("SELECT count(*) FROM hour WHERE day < %d", today-60), "old hours"},
		{fmt.Sprintf("SELECT count(*) FROM device_day WHERE day >= %d", today-60), "days too early"},
		{fmt.Sprintf("SELECT count(*) FROM device_day WHERE day < %d",
			(today - 1095).Month().First()), "old days"},
		{fmt.Sprintf("SELECT count(*) FROM device_month WHERE month >= %d", (today - 1095).Month()),
			"months too early"},
	} {
		var n int
		if err := s.db.QueryRow(test.query).Scan(&n); err != nil || n != 0 {
			t.Errorf("%d %s, %v", n, test.what, err)
		}
	}
	for _, table := range []string{"device_hour", "device_day", "device_month", "service_day",
		"exporter_month"} {
		if rows(t, s, table) == 0 {
			t.Error("nothing in", table)
		}
	}
}

func TestLateUsageOfAMovedDayIsAdded(t *testing.T) {
	s := openNew(t)
	old := noon().AddDate(0, 0, -100)
	write(t, s, batchAt(s, old, "a", 10))
	prune(t, s, noon())
	write(t, s, batchAt(s, old, "a", 5))
	for range 2 {
		if got := devicesOf(t, s, day(s, old))["a"].WAN.UpBytes; got != 15 {
			t.Error(got)
		}
		prune(t, s, noon())
	}
}

// byDay compares destinations with devices of each day: rows as they are stored, so that what
// is missing is not made up for.
func byDay(t *testing.T, s *Store) {
	t.Helper()
	sum := func(view string) (all map[string]usage.Usage) {
		all = map[string]usage.Usage{}
		err := query(t.Context(), s.db, func(scan scanner) error {
			var key string
			var u usage.Usage
			err := scan(append([]any{&key}, usageTargets(&u)...)...)
			all[key] = u
			return err
		}, "SELECT day || ' ' || device, "+sums(devices().columns)+" FROM "+view+" GROUP BY day, device")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	byDevice, byDestination := sum("device_by_day"), sum("destination_rows")
	if len(byDevice) == 0 {
		t.Error("no devices")
	}
	for key, want := range byDevice {
		if byDestination[key] != want {
			t.Errorf("%s: destinations %v, devices %v", key, byDestination[key], want)
		}
	}
	if len(byDestination) != len(byDevice) {
		t.Errorf("destinations of %d devices and days, not %d", len(byDestination), len(byDevice))
	}
}

func TestTheLargestDestinationsAreKeptAndTheRestAddedUp(t *testing.T) {
	s := openNew(t)
	s.options.DestinationsPerDevice = 5
	random := rand.New(rand.NewPCG(11, 12))
	model := map[usage.Day]map[usage.Destination]uint64{}
	for n := range 48 {
		b := batchAt(s, noon().Add(time.Duration(n)*time.Hour), "a", 0)
		hour, today := s.options.Calendar.Hour(b.At)
		clear(b.Destinations)
		var sum usage.Usage
		for range 8 {
			u := usage.Usage{WAN: usage.Counters{UpBytes: random.Uint64N(1000), DownPackets: 1},
				LAN: usage.Counters{DownBytes: random.Uint64N(50)}}
			remote := netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(12))})
			d := usage.Destination{Day: today, Device: "a", Remote: remote, Port: uint16(n % 2)}
			v := b.Destinations[d]
			v.Add(u)
			b.Destinations[d] = v
			sum.Add(u)
			if model[today] == nil {
				model[today] = map[usage.Destination]uint64{}
			}
			model[today][d] += u.WAN.UpBytes + u.LAN.DownBytes
		}
		b.Hours[usage.DeviceHour{Hour: hour, Day: today, Device: "a"}] = sum
		write(t, s, b)
		if n%7 == 0 {
			prune(t, s, b.At)
		}
		byDay(t, s)
	}
	prune(t, s, noon().AddDate(0, 0, 5))
	byDay(t, s)
	if open := rows(t, s, "destination") + rows(t, s, "destination_part"); open != 0 {
		t.Error(open, "rows are left of days that are over")
	}
	var most, named int
	err := s.db.QueryRow(`SELECT max(n), sum(n) FROM (SELECT count(*) AS n FROM destination_day
		WHERE remote <> '' GROUP BY day, device)`).Scan(&most, &named)
	if err != nil || most != 5 || named != 3*5 {
		t.Error(most, named, err)
	}
	for day, sizes := range model {
		var smallest uint64
		err = s.db.QueryRow(`SELECT min(up_bytes + lan_down_bytes) FROM destination_day
			WHERE remote <> '' AND day = ?`, int64(day)).Scan(&smallest)
		if want := slices.Sorted(maps.Values(sizes))[len(sizes)-5]; err != nil || smallest != want {
			t.Errorf("the smallest of the largest is %d, not %d, %v", smallest, want, err)
		}
	}
}

// A device that scans all ports of all addresses must not fill the file before its day is over.
func TestTooManyDestinationsCountAsOther(t *testing.T) {
	s := openNew(t)
	s.options.DestinationsPerDevice = 3
	for n := range 20 {
		b := batchAt(s, noon().Add(time.Duration(n)*time.Minute), "a", 0)
		hour, today := s.options.Calendar.Hour(b.At)
		clear(b.Destinations)
		var sum usage.Usage
		for port := range 10 {
			u := usage.Usage{WAN: usage.Counters{UpBytes: uint64(port) + 1}}
			sum.Add(u)
			b.Destinations[usage.Destination{Day: today, Device: "a", Port: uint16(n*10 + port),
				Remote: netip.MustParseAddr("192.0.2.1")}] = usage.DestinationUsage{Usage: u}
		}
		b.Hours[usage.DeviceHour{Hour: hour, Day: today, Device: "a"}] = sum
		write(t, s, b)
	}
	if got := rows(t, s, "destination"); got != manyDestinations*3+1 {
		t.Error(got, "rows")
	}
	byDay(t, s)
	prune(t, s, noon().AddDate(0, 0, 1))
	byDay(t, s)
}

// However many destinations a batch has, it appends one part for each row.
func TestTooManyDestinationsAppendFewParts(t *testing.T) {
	const kept, scanned, batches = 10, 5000, 3
	s := openNew(t)
	s.options.DestinationsPerDevice = kept
	var want usage.Usage
	var contacts, last int64
	for n := range batches {
		b := batchAt(s, noon().Add(time.Duration(n)*time.Minute), "a", 0)
		_, today := s.options.Calendar.Hour(b.At)
		clear(b.Destinations)
		for i := range scanned {
			u := usage.DestinationUsage{Usage: usage.Usage{
				WAN: usage.Counters{UpBytes: uint64(n*scanned + i), UpPackets: 1},
				LAN: usage.Counters{DownBytes: uint64(i), DownPackets: 2},
			}, UpContacts: 1, First: b.At, Last: b.At.Add(time.Duration(i) * time.Second)}
			b.Destinations[usage.Destination{Day: today, Device: "a", Protocol: 6, Port: 443,
				Remote: netip.AddrFrom4([4]byte{198, byte(n), byte(i >> 8), byte(i)})}] = u
			want.Add(u.Usage)
			contacts, last = contacts+1, max(last, u.Last.Unix())
		}
		write(t, s, b)
	}
	open := manyDestinations*kept + 2 // and those of the rest
	if got := rows(t, s, "destination"); got > open {
		t.Errorf("%d rows, more than %d", got, open)
	}
	if got := rows(t, s, "destination_part"); got > batches*open {
		t.Errorf("%d parts, more than %d", got, batches*open)
	}
	for range 2 {
		if got := storedDestinations(t, s); got != want {
			t.Errorf("\n got %+v\nwant %+v", got, want)
		}
		var gotContacts, gotFirst, gotLast int64
		err := s.db.QueryRow("SELECT sum(up_contacts), min(first), max(last) FROM destination_rows").
			Scan(&gotContacts, &gotFirst, &gotLast)
		if err != nil || gotContacts != contacts || gotFirst != noon().Unix() || gotLast != last {
			t.Errorf("%d contacts from %d to %d, %v", gotContacts, gotFirst, gotLast, err)
		}
		prune(t, s, noon().AddDate(0, 0, 1))
	}
}

func TestOldDestinationsAreDeleted(t *testing.T) {
	s := openNew(t)
	write(t, s, batchAt(s, noon().AddDate(0, 0, -91), "a", 1), batchAt(s, noon().AddDate(0, 0, -90),
		"a", 1), batchAt(s, noon(), "a", 1))
	prune(t, s, noon())
	var first usage.Day
	if err := s.db.QueryRow("SELECT min(day) FROM destination_rows").Scan(&first); err != nil ||
		first != s.options.Calendar.Day(noon())-90 {
		t.Error(first, err)
	}
}

func TestAFileBeyondItsSizeLosesDetailsAndNoBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := open(t, path, noon(), testOptions(t))
	h := newHousehold(s, noon())
	for range 40 {
		for range 12 {
			write(t, s, h.next())
		}
		h.at = h.at.Add(23 * time.Hour)
		prune(t, s, h.at)
	}
	before := total(t, s)
	for _, most := range []int64{700 << 10, 300 << 10, 200 << 10} {
		s.options.MaxSize = most
		prune(t, s, h.at)
		size, err := s.used(t.Context())
		if err != nil || size > most {
			t.Errorf("%d bytes, not %d, %v", size, most, err)
		}
		if got := total(t, s); got != before {
			t.Errorf("%v, not %v", got, before)
		}
		t.Log(most, ":", rows(t, s, "destination_day"), "destinations,", rows(t, s, "device_hour"),
			"hours,", rows(t, s, "device_day"), "days,", rows(t, s, "device_month"), "months")
	}
	s.options.MaxSize = 1 // nothing can be that small, and it must end
	prune(t, s, h.at.AddDate(1, 0, 0))
	if got := total(t, s); got != before {
		t.Errorf("%v, not %v", got, before)
	}
	span := Span{From: noon().AddDate(-1, 0, 0), To: noon().AddDate(2, 0, 0)}
	if got := devicesOf(t, s, span); len(got) != 1 || got[usage.Other] == (usage.Usage{}) {
		t.Error("devices", got)
	}
}

func TestAFileThatIsMostlyFreeIsMadeSmaller(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := open(t, path, noon(), testOptions(t))
	if _, err := s.db.Exec(`CREATE TABLE ballast (a); INSERT INTO ballast
		SELECT zeroblob(1000000) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12));
		DROP TABLE ballast; PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	prune(t, s, noon())
	after, err := os.Stat(path)
	if err != nil || after.Size() > before.Size()/10 {
		t.Errorf("%d bytes, then %d, %v", before.Size(), after.Size(), err)
	}
	write(t, s, batchAt(s, noon(), "a", 1))
}

func TestUnusedDevicesAreForgotten(t *testing.T) {
	s := openNew(t)
	seen := noon().AddDate(0, 0, -2)
	write(t, s, batchAt(s, seen, "a", 1), &usage.Batch{At: noon(), Devices: []usage.Device{
		{ID: "never used", Last: seen}, {ID: "new", Last: noon()}}})
	prune(t, s, noon())
	state, err := s.State(t.Context())
	if err != nil || len(state.Devices) != 2 || state.Devices[0].ID != "a" ||
		state.Devices[1].ID != "new" {
		t.Error(state.Devices, err)
	}
}
