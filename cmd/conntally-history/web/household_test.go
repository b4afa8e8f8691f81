package web

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/condition"
)

// berlin is where the tests are.
func berlin(t testing.TB) *time.Location {
	t.Helper()
	place, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip(err)
	}
	return place
}

// noon is when the tests are: Sunday 29 November 2026, 14:05.
func noon(t testing.TB) time.Time {
	return time.Date(2026, time.November, 29, 14, 5, 12, 0, berlin(t))
}

// hostile is a name that no device should have.
const hostile = `"><script>alert(1)</script>'` + "\u202e" + `& onload=x {{.}} ]]>`

// memory is a History of what has been added to it.
type memory struct {
	cal          usage.Calendar
	devices      map[string]usage.Device
	hours        map[usage.DeviceHour]usage.Usage
	destinations map[usage.Destination]usage.DestinationUsage
	services     map[usage.ServiceHour]usage.Counters
	exporters    map[usage.ExporterHour]usage.Intake
	absent       []usage.Absence
	flushed      time.Time
	failure      error // of all reads
}

func newMemory(place *time.Location) *memory {
	return &memory{
		cal: usage.Calendar{Location: place}, devices: map[string]usage.Device{},
		hours:        map[usage.DeviceHour]usage.Usage{},
		destinations: map[usage.Destination]usage.DestinationUsage{},
		services:     map[usage.ServiceHour]usage.Counters{},
		exporters:    map[usage.ExporterHour]usage.Intake{},
	}
}

// start returns when the period of an hour begins.
func (m *memory) start(s store.Span, hour usage.Hour, day usage.Day) time.Time {
	switch s.Period {
	case store.ByHour:
		return time.Unix(int64(hour), 0).In(m.cal.Location)
	case store.ByDay:
		return m.cal.Start(day)
	case store.ByMonth:
		return m.cal.Start(day.Month().First())
	}
	return s.From
}

func (m *memory) in(s store.Span, hour usage.Hour) bool {
	t := time.Unix(int64(hour), 0)
	return !t.Before(s.From) && t.Before(s.To)
}

// Devices implements History.
func (m *memory) Devices(_ context.Context, s store.Span) ([]store.DeviceRow, error) {
	type key struct {
		start  int64
		device string
	}
	rows := map[key]*store.DeviceRow{}
	for h, u := range m.hours {
		if !m.in(s, h.Hour) || s.Device != "" && s.Device != h.Device {
			continue
		}
		start := m.start(s, h.Hour, h.Day)
		k := key{start.Unix(), h.Device}
		if rows[k] == nil {
			rows[k] = &store.DeviceRow{Start: start, Device: m.devices[h.Device]}
		}
		rows[k].Add(u)
	}
	all := make([]store.DeviceRow, 0, len(rows))
	for _, row := range rows {
		all = append(all, *row)
	}
	slices.SortFunc(all, func(a, b store.DeviceRow) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(size(b.WAN), size(a.WAN)),
			cmp.Compare(a.ID, b.ID))
	})
	return all, m.failure
}

// Totals implements History.
func (m *memory) Totals(ctx context.Context, s store.Span) ([]store.TotalRow, error) {
	rows, err := m.Devices(ctx, s)
	var all []store.TotalRow
	for i := range rows {
		if n := len(all); n == 0 || !all[n-1].Start.Equal(rows[i].Start) {
			all = append(all, store.TotalRow{Start: rows[i].Start})
		}
		all[len(all)-1].Add(rows[i].Usage)
	}
	return all, err
}

// EachDestination implements History.
func (m *memory) EachDestination(_ context.Context, s store.Span,
	fn func(*store.DestinationRow) error) error {
	for _, row := range m.destinationRows(s) {
		if err := fn(&row); err != nil {
			return err
		}
	}
	return m.failure
}

func (m *memory) destinationRows(s store.Span) []store.DestinationRow {
	rows := map[usage.Destination]*store.DestinationRow{}
	before := map[netip.Addr]bool{}
	for d, u := range m.destinations {
		day := m.cal.Start(d.Day)
		switch {
		case s.Device != "" && s.Device != d.Device || !day.Before(s.To):
			continue
		case day.Before(s.From):
			before[d.Remote] = true
			continue
		}
		key := d
		key.Day = 0
		row := rows[key]
		if row == nil {
			row = &store.DestinationRow{Start: s.From, Device: d.Device, Destination: d}
			row.Name, row.First, row.Last = m.devices[d.Device].Name, u.First, u.Last
			rows[key] = row
		}
		row.Add(u.Usage)
		row.UpContacts += u.UpContacts
		row.DownContacts += u.DownContacts
		row.First, row.Last = earlier(row.First, u.First), later(row.Last, u.Last)
	}
	all := make([]store.DestinationRow, 0, len(rows))
	for _, row := range rows {
		if row.New = !before[row.Remote]; row.New || !s.OnlyNew {
			all = append(all, *row)
		}
	}
	slices.SortFunc(all, func(a, b store.DestinationRow) int {
		return cmp.Or(cmp.Compare(size(b.WAN)+size(b.LAN), size(a.WAN)+size(a.LAN)),
			a.Remote.Compare(b.Remote), cmp.Compare(a.Port, b.Port))
	})
	if s.Limit > 0 {
		all, _ = largest(all, s.Limit)
	}
	return all
}

// Services implements History.
func (m *memory) Services(_ context.Context, s store.Span) ([]store.ServiceRow, error) {
	type key struct {
		start int64
		unit  string
	}
	rows := map[key]*store.ServiceRow{}
	for h, c := range m.services {
		if !m.in(s, h.Hour) {
			continue
		}
		start := m.start(s, h.Hour, h.Day)
		k := key{start.Unix(), h.Unit}
		if rows[k] == nil {
			rows[k] = &store.ServiceRow{Start: start, Unit: h.Unit}
		}
		rows[k].Add(c)
	}
	all := make([]store.ServiceRow, 0, len(rows))
	for _, row := range rows {
		all = append(all, *row)
	}
	slices.SortFunc(all, func(a, b store.ServiceRow) int {
		return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(size(b.Counters), size(a.Counters)),
			cmp.Compare(a.Unit, b.Unit))
	})
	return all, m.failure
}

// Exporters implements History.
func (m *memory) Exporters(_ context.Context, s store.Span) ([]store.ExporterRow, error) {
	rows := map[usage.Exporter]*store.ExporterRow{}
	for h, i := range m.exporters {
		if !m.in(s, h.Hour) {
			continue
		}
		if rows[h.Exporter] == nil {
			rows[h.Exporter] = &store.ExporterRow{Start: s.From, Exporter: h.Exporter}
		}
		rows[h.Exporter].Add(i)
	}
	all := make([]store.ExporterRow, 0, len(rows))
	for _, row := range rows {
		all = append(all, *row)
	}
	slices.SortFunc(all, func(a, b store.ExporterRow) int { return a.Address.Compare(b.Address) })
	return all, m.failure
}

// Losses implements History.
func (m *memory) Losses(_ context.Context, from, to time.Time) (usage.Losses, error) {
	var l usage.Losses
	for h, i := range m.exporters {
		if m.in(store.Span{From: from, To: to}, h.Hour) {
			l.Add(i)
		}
	}
	for _, a := range m.absent {
		if a.From.Before(to) && a.To.After(from) {
			l.Absent = append(l.Absent, a)
		}
	}
	return l, m.failure
}

// Extent implements History.
func (m *memory) Extent(context.Context) (store.Extent, error) {
	e := store.Extent{Flushed: m.flushed, Size: 12_345_678}
	for h := range m.hours {
		t := time.Unix(int64(h.Hour), 0)
		if e.First.IsZero() || t.Before(e.First) {
			e.First = t
		}
		if t.After(e.Last) {
			e.Last = t
		}
	}
	return e, m.failure
}

// Lookup implements History.
func (m *memory) Lookup(_ context.Context, device string) (usage.Device, bool, error) {
	for _, d := range m.devices {
		if d.ID == device || d.Name == device && d.Name != "" || d.MAC == device && d.MAC != "" {
			return d, true, m.failure
		}
	}
	return usage.Device{}, false, m.failure
}

// resident is a device of the household.
type resident struct {
	id, name, vendor string
	down, up         float64 // MB in an hour of its own
	from, to         int     // hours of the day during which it talks
	every            int     // hours between two
}

func residents() []resident {
	return []resident{
		{"02:00:00:00:00:01", "living-room-tv", "Example Electronics", 2600, 30, 18, 24, 1},
		{"02:00:00:00:00:02", "anna-laptop", "Example Computers", 700, 90, 8, 19, 1},
		{"02:00:00:00:00:03", "ben-phone", "", 160, 24, 6, 23, 1},
		{"02:00:00:00:00:04", "nas", "Example Storage", 120, 1900, 2, 4, 1},
		{"02:00:00:00:00:05", "doorbell", "Example Cameras", 6, 55, 0, 24, 1},
		{"02:00:00:00:00:06", "thermostat", "", 0.4, 0.3, 0, 24, 2},
		{"02:00:00:00:00:07", hostile, `<b>"vendor"`, 20, 2, 9, 17, 1},
		{"02:00:00:00:00:08", "", "", 45, 7, 10, 22, 3},
		{"02:00:00:00:00:09", "游戏机", "", 900, 60, 15, 21, 2},
		{"02:00:00:00:00:0a", "a-very-long-name-that-nobody-would-type-but-dhcp-allows-" +
			"0123456789", "", 12, 3, 7, 20, 1},
		{"192.0.2.77", "", "", 3, 1, 11, 13, 1},
		{usage.Router, "router", "", 40, 25, 0, 24, 1},
		{usage.Other, "", "", 9, 2, 0, 24, 1},
	}
}

// fillHousehold adds a year of a household, up to now.
func fillHousehold(m *memory, now time.Time) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, r := range residents() {
		d := usage.Device{ID: r.id, Name: r.name, Vendor: r.vendor}
		d.First, d.Last = now.AddDate(-1, 0, 0), now.Add(-time.Duration(random.IntN(90))*time.Minute)
		if len(r.id) == 17 {
			d.MAC = r.id
			d.Addresses = []netip.Addr{
				netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(200))}),
				netip.MustParseAddr("2001:db8:77:0:" + fmt.Sprintf("%x", random.IntN(65536)) + "::1"),
			}
		}
		m.devices[r.id] = d
		fillHours(m, r, now, random)
		for h := range m.hours {
			if t := time.Unix(int64(h.Hour), 0); h.Device == r.id && t.After(d.Last) {
				d.Last = t
			}
		}
		m.devices[r.id] = d
		fillDestinations(m, r, now, random)
	}
	fillServices(m, now, random)
	fillExporters(m, now)
	m.flushed = now.Add(-48 * time.Second)
}

func fillHours(m *memory, r resident, now time.Time, random *rand.Rand) {
	for t := now.AddDate(-1, 0, 0); !t.After(now); t = t.Add(time.Duration(r.every) * time.Hour) {
		if h := t.Hour(); h < r.from || h >= r.to {
			continue
		}
		hour, day := m.cal.Hour(t)
		weekend := 1.0
		if t.Weekday() == time.Saturday || t.Weekday() == time.Sunday {
			weekend = 1.8
		}
		mega := func(v float64) uint64 { return uint64(v * weekend * random.ExpFloat64() * 1e6) }
		u := usage.Usage{WAN: usage.Counters{DownBytes: mega(r.down), UpBytes: mega(r.up)}}
		u.LAN.DownBytes, u.LAN.UpBytes = mega(r.down/20), mega(r.up/10)
		u.WAN.DownPackets, u.WAN.UpPackets = u.WAN.DownBytes/1200, u.WAN.UpBytes/300
		m.hours[usage.DeviceHour{Hour: hour, Day: day, Device: r.id}] = u
	}
}

func fillDestinations(m *memory, r resident, now time.Time, random *rand.Rand) {
	for back := range 14 {
		at := now.AddDate(0, 0, -back)
		day := m.cal.Day(at)
		var left usage.Usage
		for h, u := range m.hours {
			if h.Device == r.id && h.Day == day {
				left.Add(u)
			}
		}
		for i := 12 + random.IntN(20); i >= 0; i-- {
			d := usage.Destination{
				Day: day, Device: r.id, Protocol: 6, Port: 443,
				Remote: netip.AddrFrom4([4]byte{198, 51, 100, byte(i * 3)}),
			}
			switch {
			case i == 0:
				d.Remote, d.Protocol, d.Port = netip.Addr{}, 0, 0
			case i%5 == 1:
				d.Remote, d.Protocol = netip.MustParseAddr("2001:db8:5000:"+
					fmt.Sprintf("%x", i*1031)+":abcd:ef01:2345:6789"), 17
			case i%7 == 2:
				d.Protocol, d.Port, d.Inbound = 1, 0, true
			}
			u := usage.DestinationUsage{UpContacts: uint64(random.IntN(3000) + 1)}
			if i == 0 {
				u.Usage = left // by destination and by device, the sums are the same
			} else {
				part := uint64(random.IntN(9) + 4)
				u.WAN.DownBytes, u.WAN.UpBytes = left.WAN.DownBytes/part, left.WAN.UpBytes/part
				left.WAN.DownBytes -= u.WAN.DownBytes
				left.WAN.UpBytes -= u.WAN.UpBytes
			}
			u.First = m.cal.Start(day).Add(time.Duration(random.IntN(6)) * time.Hour)
			u.Last = earlier(u.First.Add(time.Duration(random.IntN(8*3600))*time.Second), now)
			m.destinations[d] = u
		}
	}
}

func fillServices(m *memory, now time.Time, random *rand.Rand) {
	for i, unit := range []string{
		"unbound.service", "nginx.service", "sshd.service", "backup@" + `<i>"x"` + ".service",
		"systemd-timesyncd.service",
	} {
		for t := now.AddDate(0, -2, 0); !t.After(now); t = t.Add(time.Hour) {
			hour, day := m.cal.Hour(t)
			m.services[usage.ServiceHour{Hour: hour, Day: day, Unit: unit}] = usage.Counters{
				DownBytes: uint64(random.ExpFloat64() * 2e7 / float64(i*i+1)),
				UpBytes:   uint64(random.ExpFloat64() * 9e6 / float64(i+1)),
			}
		}
	}
}

func fillExporters(m *memory, now time.Time) {
	for t := now.AddDate(0, -2, 0); !t.After(now); t = t.Add(time.Hour) {
		hour, day := m.cal.Hour(t)
		for _, e := range []usage.Exporter{
			{Address: netip.MustParseAddr("127.0.0.1"), Version: 10},
			{Address: netip.MustParseAddr("2001:db8::53"), Version: 9, Domain: 7},
		} {
			i := usage.Intake{Datagrams: 700, Records: 14_000, Bytes: 3e9}
			if day == m.cal.Day(now)-3 && e.Version == 10 {
				i.MissingRecords = 61
			}
			m.exporters[usage.ExporterHour{Hour: hour, Day: day, Exporter: e}] = i
		}
	}
	m.absent = []usage.Absence{
		{From: now.Add(-200 * time.Hour), To: now.Add(-197 * time.Hour), Crash: true},
		{From: now.Add(-9*time.Hour - 20*time.Minute), To: now.Add(-9 * time.Hour)},
	}
}

// household returns the options of a site that shows a household.
func household(t testing.TB) (Options, *memory) {
	t.Helper()
	m := newMemory(berlin(t))
	fillHousehold(m, noon(t))
	return Options{
		History: m, Calendar: m.cal, Now: func() time.Time { return noon(t) },
		Rates: func() map[string]Rate {
			return map[string]Rate{
				"02:00:00:00:00:01": {Down: 23.4e6, Up: 310e3}, "02:00:00:00:00:05": {Up: 1.9e6},
			}
		},
		Conditions: func() []condition.Condition {
			return []condition.Condition{{
				ID: "records_missing", Severity: condition.Warning, Subject: hostile,
				Message: "flow records were lost on their way", Detail: "61 of 14000",
				Advice: "raise the exporter's send buffer", Since: noon(t).Add(-time.Hour),
			}}
		},
		Quotas: []report.Quota{
			{Bytes: 1500e9},
			{Name: "living-room-tv", IDs: []string{"02:00:00:00:00:01"}, Bytes: 600e9},
			{Name: "nas", IDs: []string{"02:00:00:00:00:04"}, Bytes: 100e9},
			{Name: "guest-tablet", IDs: []string{"02:00:00:00:00:99"}, Bytes: 100e9},
		},
		Services: true,
	}, m
}

func netipAddr(s string) netip.Addr { return netip.MustParseAddr(s) }
