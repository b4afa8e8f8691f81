package store

import (
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

func testOptions(t *testing.T) Options {
	t.Helper()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	return Options{Calendar: usage.Calendar{Location: berlin}, Hours: 60 * day, Days: 1095 * day,
		Destinations: 90 * day, DestinationsPerDevice: 200, MaxSize: 512 << 20}
}

// noon is when the tests' days are: 2026-11-29 12:00 in Berlin.
func noon() time.Time { return time.Date(2026, 11, 29, 11, 0, 0, 0, time.UTC) }

func open(t *testing.T, path string, now time.Time, o Options) *Store {
	t.Helper()
	s, aside, err := Open(t.Context(), path, now, o)
	if err != nil || aside != nil {
		t.Fatal(err, aside)
	}
	t.Cleanup(func() { _ = s.Close(now) })
	return s
}

func openNew(t *testing.T) *Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "history.db"), noon(), testOptions(t))
}

func write(t *testing.T, s *Store, batches ...*usage.Batch) {
	t.Helper()
	for _, b := range batches {
		if err := s.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// batchAt has what one device moved at a time: n bytes up and so on, to two destinations.
func batchAt(s *Store, at time.Time, device string, n uint64) *usage.Batch {
	hour, day := s.options.Calendar.Hour(at)
	u := usage.Usage{WAN: usage.Counters{UpBytes: n, DownBytes: 2 * n, UpPackets: 1, DownPackets: 2},
		LAN: usage.Counters{UpBytes: 3 * n, DownBytes: 4 * n, UpPackets: 3, DownPackets: 4}}
	exporter := usage.Exporter{Address: netip.MustParseAddr("192.0.2.1"), Version: 10, Domain: 7}
	to := usage.Destination{Day: day, Device: device, Remote: netip.MustParseAddr("198.51.100.1"),
		Protocol: 6, Port: 443}
	other := to
	other.Port, other.Inbound = 22, true
	wan, lan := u, u
	wan.LAN, lan.WAN = usage.Counters{}, usage.Counters{}
	return &usage.Batch{
		At:      at,
		Devices: []usage.Device{{ID: device, Name: "name of " + device, First: at, Last: at}},
		Hours:   map[usage.DeviceHour]usage.Usage{{Hour: hour, Day: day, Device: device}: u},
		Destinations: map[usage.Destination]usage.DestinationUsage{
			to:    {Usage: wan, UpContacts: 1, DownContacts: 2, First: at, Last: at.Add(time.Second)},
			other: {Usage: lan, UpContacts: 3, First: at, Last: at},
		},
		Exporters: map[usage.ExporterHour]usage.Intake{
			{Hour: hour, Day: day, Exporter: exporter}: {Datagrams: 1, Records: n, Bytes: 10 * n}},
		Sequences: map[usage.Exporter]usage.Sequence{exporter: {Port: 5, Next: uint32(n)}},
		Services: map[usage.ServiceHour]usage.Counters{
			{Hour: hour, Day: day, Unit: "ssh.service"}: u.WAN},
		ServiceStates: []usage.ServiceState{{Unit: "ssh.service", Invocation: "0a", Counted: u.WAN}},
		JournalCursor: fmt.Sprint("cursor ", n),
	}
}

func day(s *Store, at time.Time) Span {
	d := s.options.Calendar.Day(at)
	return Span{From: s.options.Calendar.Start(d), To: s.options.Calendar.Start(d + 1)}
}

func devicesOf(t *testing.T, s *Store, span Span) map[string]usage.Usage {
	t.Helper()
	rows, err := s.Reader().Devices(t.Context(), span)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]usage.Usage{}
	for _, row := range rows {
		key := row.ID
		if span.Period != Whole {
			key = row.Start.Format("2006-01-02 15:04 ") + key
		}
		if _, twice := all[key]; twice {
			t.Error("twice:", key)
		}
		all[key] = row.Usage
	}
	return all
}

func TestWhatIsWrittenIsReadAndAddedUp(t *testing.T) {
	s := openNew(t)
	write(t, s, batchAt(s, noon(), "a", 100), batchAt(s, noon().Add(5*time.Minute), "a", 10),
		batchAt(s, noon().Add(time.Hour), "a", 1), batchAt(s, noon(), "b", 1000))

	got := devicesOf(t, s, day(s, noon()))
	want := map[string]usage.Usage{
		"a": {WAN: usage.Counters{UpBytes: 111, DownBytes: 222, UpPackets: 3, DownPackets: 6},
			LAN: usage.Counters{UpBytes: 333, DownBytes: 444, UpPackets: 9, DownPackets: 12}},
		"b": {WAN: usage.Counters{UpBytes: 1000, DownBytes: 2000, UpPackets: 1, DownPackets: 2},
			LAN: usage.Counters{UpBytes: 3000, DownBytes: 4000, UpPackets: 3, DownPackets: 4}},
	}
	if !maps.Equal(got, want) {
		t.Errorf("devices %v, want %v", got, want)
	}
	span := day(s, noon())
	span.Period, span.Device = ByHour, "a"
	if got := slices.Sorted(maps.Keys(devicesOf(t, s, span))); !slices.Equal(got,
		[]string{"2026-11-29 12:00 a", "2026-11-29 13:00 a"}) {
		t.Error("hours", got)
	}
	destinations, err := s.Reader().Destinations(t.Context(), day(s, noon()))
	if err != nil {
		t.Fatal(err)
	}
	if len(destinations) != 4 {
		t.Fatalf("%d destinations: %+v", len(destinations), destinations)
	}
	largest := destinations[0]
	if largest.Device != "b" || largest.LAN.DownBytes != 4000 || largest.Port != 22 ||
		!largest.Inbound || largest.Name != "name of b" || !largest.New {
		t.Errorf("largest %+v", largest)
	}
	a := destinations[3]
	if a.UpContacts != 3 || a.DownContacts != 6 || !a.First.Equal(noon()) ||
		!a.Last.Equal(noon().Add(time.Hour+time.Second)) {
		t.Errorf("contacts %+v", a)
	}
	services, err := s.Reader().Services(t.Context(), day(s, noon()))
	if err != nil || len(services) != 1 || services[0].UpBytes != 1111 {
		t.Error(services, err)
	}
	losses, err := s.Reader().Losses(t.Context(), day(s, noon()).From, day(s, noon()).To)
	if err != nil || losses.Records != 1111 || losses.Bytes != 11110 || losses.Absent != nil {
		t.Error(losses, err)
	}
	state, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	exporter := usage.Exporter{Address: netip.MustParseAddr("192.0.2.1"), Version: 10, Domain: 7}
	if !reflect.DeepEqual(state.Sequences, map[usage.Exporter]usage.Sequence{
		exporter: {Port: 5, Next: 1000}}) || state.JournalCursor != "cursor 1000" ||
		len(state.Services) != 1 || len(state.Devices) != 2 {
		t.Errorf("%+v", state)
	}
}

// lastSeen returns when a device was last seen, as readers are told.
func lastSeen(t *testing.T, s *Store, device string) time.Time {
	t.Helper()
	d, found, err := s.Reader().Lookup(t.Context(), device)
	if err != nil || !found {
		t.Fatal(found, err)
	}
	return d.Last
}

// A device was last seen when the latest bytes that are counted moved, to the minute: also where
// nothing else of it has changed, and after its hours have become days.
func TestADeviceWasLastSeenWhenItLastMovedSomething(t *testing.T) {
	s := openNew(t)
	begin := noon()
	for _, moved := range []time.Time{begin, begin.Add(5 * time.Minute), begin.Add(35 * time.Minute),
		begin.Add(3*time.Hour + 59*time.Minute), begin.Add(4 * time.Hour)} {
		b := batchAt(s, moved, "a", 1)
		b.Devices[0].First = begin
		write(t, s, b)
		if got := lastSeen(t, s, "a"); !got.Equal(moved) {
			t.Errorf("moved something at %v, last seen at %v", moved, got)
		}
	}
	latest := begin.Add(4*time.Hour + 7*time.Minute)
	write(t, s, batchAt(s, latest, "a", 1), batchAt(s, latest.AddDate(0, 0, 1), "b", 1))

	late := batchAt(s, begin.Add(3*time.Hour), "a", 1) // a record that came late
	late.Devices[0].Last = latest
	write(t, s, late)
	if got := lastSeen(t, s, "a"); !got.Equal(latest) {
		t.Errorf("%v after a late record, not %v", got, latest)
	}
	for _, days := range []int{0, 100} {
		prune(t, s, latest.AddDate(0, 0, days))
		if got := lastSeen(t, s, "a"); !got.Equal(latest) {
			t.Errorf("%v when pruned %d days later, not %v", got, days, latest)
		}
	}
}

// What is written at the end of an hour may have its last part in the next one, of which there
// is no row: then the device was seen until the end of the hour.
func TestADeviceIsSeenToTheEndOfItsLastHour(t *testing.T) {
	s := openNew(t)
	write(t, s, batchAt(s, noon(), "a", 1))
	for _, last := range []time.Time{noon().Add(time.Hour), noon().Add(time.Hour + time.Second)} {
		b := batchAt(s, noon().Add(59*time.Minute), "a", 1)
		b.Devices[0].First, b.Devices[0].Last = noon(), last
		write(t, s, b)
		if got := lastSeen(t, s, "a"); !got.Equal(noon().Add(time.Hour)) {
			t.Errorf("last moved something at %v, last seen at %v", last, got)
		}
	}
}

// States of services are those of the last batch that has any, and several of one unit.
func TestServiceStates(t *testing.T) {
	s := openNew(t)
	state := func(unit, invocation string, n uint64) usage.ServiceState {
		return usage.ServiceState{Unit: unit, Invocation: invocation,
			Counted: usage.Counters{UpBytes: n, DownBytes: 2 * n, UpPackets: 3, DownPackets: 4}}
	}
	a := []usage.ServiceState{
		state("a.service", "01", 1), state("a.service", "02", 2), state("b.service", "03", 3)}
	b := []usage.ServiceState{state("a.service", "02", 5), state("c.service", "04", 6)}
	for _, step := range []struct {
		name        string
		write, want []usage.ServiceState
	}{
		{"some", a, a}, {"unchanged", nil, a}, {"the same", a, a}, {"others", b, b},
		{"none", []usage.ServiceState{}, nil},
	} {
		if err := s.Write(t.Context(), &usage.Batch{At: noon(), ServiceStates: step.write}); err != nil {
			t.Fatal(err)
		}
		if got, err := s.State(t.Context()); err != nil || !reflect.DeepEqual(got.Services, step.want) {
			t.Errorf("%s: %v, %v; want %v", step.name, got.Services, err, step.want)
		}
	}
}

// Who sent records lately is not told by sequences, which are written with each batch.
func TestSenders(t *testing.T) {
	s := openNew(t)
	early, late := batchAt(s, noon().Add(-2*time.Hour), "a", 100), batchAt(s, noon(), "a", 100)
	for k := range late.Exporters {
		late.Exporters[k] = usage.Intake{Datagrams: 1} // of templates
	}
	write(t, s, early, late)
	exporter := usage.Exporter{Address: netip.MustParseAddr("192.0.2.1"), Version: 10, Domain: 7}
	for since, want := range map[time.Duration]map[usage.Exporter]time.Time{
		30 * time.Minute:  {},
		150 * time.Minute: {exporter: early.At},
	} {
		got, err := s.Senders(t.Context(), noon().Add(-since))
		if err != nil || !maps.EqualFunc(got, want, time.Time.Equal) {
			t.Errorf("in %v: %v, %v", since, got, err)
		}
	}
}
