package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// calendar is that of the commands.
func calendar() usage.Calendar { return usage.Calendar{Location: time.Local} }

// latest is when the tests' history ends.
func latest() time.Time { return time.Date(2026, 11, 29, 12, 0, 0, 0, time.Local) }

// openStore opens a database for a test.
func openStore(t *testing.T, path string) *store.Store {
	t.Helper()
	const day = 24 * time.Hour
	s, aside, err := store.Open(t.Context(), path, latest(), store.Options{
		Calendar: calendar(), Hours: 60 * day, Days: 1095 * day, Destinations: 90 * day,
		DestinationsPerDevice: 200, MaxSize: 512 << 20,
	})
	if err != nil || aside != nil {
		t.Fatal(err, aside)
	}
	return s
}

// seedDatabase returns the path of a database with random usage of four months, of which the
// oldest is kept by day.
func seedDatabase(t *testing.T, seed uint64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.db")
	s := openStore(t, path)
	r := rand.New(rand.NewPCG(seed, 1))
	whole := &usage.Batch{
		At: latest(), Hours: map[usage.DeviceHour]usage.Usage{},
		Destinations: map[usage.Destination]usage.DestinationUsage{},
		Services:     map[usage.ServiceHour]usage.Counters{},
		Exporters:    map[usage.ExporterHour]usage.Intake{},
	}
	for hours := 120 * 24; hours >= 0; hours -= 1 + r.IntN(12) {
		addUsage(whole, r, latest().Add(-time.Duration(hours)*time.Hour))
	}
	if err := s.Write(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(t.Context(), latest()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(latest()); err != nil {
		t.Fatal(err)
	}
	return path
}

// deviceNames are those of the tests' devices; the last is one that nobody should trust.
func deviceNames() []string { return []string{"smart-tv", "laptop", "", "=cmd|'/C calc'!A0"} }

// addUsage adds what some devices moved in an hour.
func addUsage(b *usage.Batch, r *rand.Rand, at time.Time) {
	hour, day := calendar().Hour(at)
	for i, name := range deviceNames() {
		if r.IntN(3) == 0 {
			continue
		}
		id := fmt.Sprintf("02:00:00:00:00:%02x", i+1)
		if name == "" {
			id = "192.0.2.77"
		}
		b.Devices = append(b.Devices, usage.Device{ID: id, Name: name, First: at, Last: at})
		sum := usage.Usage{}
		for range 1 + r.IntN(3) {
			u := usage.Usage{WAN: randomCounters(r)}
			to := usage.Destination{Day: day, Device: id, Protocol: 6, Port: uint16(440 + r.IntN(5)),
				Remote: netip.AddrFrom4([4]byte{198, 51, 100, byte(r.IntN(20))})}
			if r.IntN(4) == 0 {
				u, to.Port = usage.Usage{LAN: randomCounters(r)}, 445
			}
			d := b.Destinations[to]
			d.Add(u)
			d.UpContacts, d.DownContacts = d.UpContacts+2, d.DownContacts+1
			d.First, d.Last = at, at.Add(time.Minute)
			b.Destinations[to] = d
			sum.Add(u)
		}
		b.Hours[usage.DeviceHour{Hour: hour, Day: day, Device: id}] = sum
	}
	unit := fmt.Sprintf("unit%d.service", r.IntN(3))
	b.Services[usage.ServiceHour{Hour: hour, Day: day, Unit: unit}] = randomCounters(r)
	e := usage.Exporter{Address: netip.MustParseAddr("127.0.0.1"), Version: 10}
	b.Exporters[usage.ExporterHour{Hour: hour, Day: day, Exporter: e}] = usage.Intake{
		Datagrams: 10, Records: 200, Bytes: r.Uint64N(1e9), MissingRecords: r.Uint64N(3)}
}

func randomCounters(r *rand.Rand) usage.Counters {
	return usage.Counters{UpBytes: r.Uint64N(1e9), DownBytes: r.Uint64N(1e10),
		UpPackets: r.Uint64N(1e6), DownPackets: r.Uint64N(1e7)}
}
