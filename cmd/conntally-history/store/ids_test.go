package store

import (
	"database/sql"
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// writeWithIDs writes as if IDs ended with last.
func writeWithIDs(t *testing.T, s *Store, last int64, fn func(*writer)) error {
	t.Helper()
	return s.inTransaction(t.Context(), func(tx *sql.Tx) error {
		w := newWriter(t.Context(), tx, s.options)
		defer w.close()
		w.lastID = last
		fn(w)
		return w.err
	})
}

// counts returns all that is counted on the day, by device, exporter and unit.
func counts(t *testing.T, s *Store) map[string]uint64 {
	t.Helper()
	all := map[string]uint64{}
	for id, u := range devicesOf(t, s, day(s, noon())) {
		all[id] += u.WAN.UpBytes
	}
	exporters, err := s.Reader().Exporters(t.Context(), day(s, noon()))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range exporters {
		all[row.Address.String()] += row.Records
	}
	services, err := s.Reader().Services(t.Context(), day(s, noon()))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range services {
		all["unit "+row.Unit] += row.UpBytes
	}
	return all
}

// batchOf is a batch of one device, exporter and unit.
func batchOf(s *Store, at time.Time, device, exporter, unit string, n uint64) *usage.Batch {
	b := batchAt(s, at, device, n)
	hour, day := s.options.Calendar.Hour(at)
	x := usage.Exporter{Address: netip.MustParseAddr(exporter), Version: 10}
	b.Exporters = map[usage.ExporterHour]usage.Intake{
		{Hour: hour, Day: day, Exporter: x}: {Datagrams: 1, Records: n}}
	b.Sequences = map[usage.Exporter]usage.Sequence{x: {Port: 5, Next: uint32(n)}}
	b.Services = map[usage.ServiceHour]usage.Counters{
		{Hour: hour, Day: day, Unit: unit}: {UpBytes: n}}
	return b
}

// An ID takes 20 bits of those of a row: what has a larger one would be added to rows of
// exporters and services, or to another hour.
func TestAfterTheLastIDThoseOfDeletedRowsAreUsed(t *testing.T) {
	s := openNew(t)
	write(t, s, batchOf(s, noon(), "a", "192.0.2.1", "a.service", 1))
	for _, text := range []string{
		"INSERT INTO device (id, device) VALUES (0xfffff, 'last')",
		"INSERT INTO exporter VALUES (0xfffff, '192.0.2.255', 10, 0)",
		"INSERT INTO service VALUES (0xfffff, 'last.service')",
	} {
		if _, err := s.db.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]uint64{"a": 1, "192.0.2.1": 1, "unit a.service": 1}
	for i, c := range []struct{ device, exporter, unit string }{
		{"b", "192.0.2.2", "b.service"}, {"c", "192.0.2.3", "c.service"},
	} {
		n := uint64(10 + i)
		write(t, s, batchOf(s, noon(), c.device, c.exporter, c.unit, n))
		want[c.device], want[c.exporter], want["unit "+c.unit] = n, n, n
	}
	if got := counts(t, s); !maps.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}

func TestWithoutAnIDLeftTheRestCountsAsOther(t *testing.T) {
	s := openNew(t)
	batches := []*usage.Batch{
		batchOf(s, noon(), "a", "192.0.2.1", "a.service", 1),
		batchOf(s, noon(), "b", "192.0.2.2", "b.service", 10),
		batchOf(s, noon(), "c", "192.0.2.3", "c.service", 100),
		batchOf(s, noon(), "d", "192.0.2.4", "d.service", 1000),
		batchOf(s, noon(), "a", "192.0.2.1", "a.service", 2),
	}
	for _, b := range batches {
		if err := writeWithIDs(t, s, 3, func(w *writer) { w.batch(b) }); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]uint64{
		"a": 3, "b": 10, usage.Other: 1100,
		"192.0.2.1": 3, "192.0.2.2": 10, "0.0.0.0": 1100,
		"unit a.service": 3, "unit b.service": 10, "unit " + usage.Other: 1100,
	}
	if got := counts(t, s); !maps.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
	if d, _, _ := s.Reader().Lookup(t.Context(), usage.Other); d.Name != "" {
		t.Errorf("the rest is called %q, as a device of it", d.Name)
	}
	state, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(state.Sequences) != 2 {
		t.Errorf("sequences %v: want those of two exporters", state.Sequences)
	}
	// An import could not tell again what it has added to the rest.
	err = writeWithIDs(t, s, 3, func(w *writer) {
		row := imported(ByHour, noon(), "e", 10000)
		w.importRow(&row)
	})
	if err == nil || err.Error() != `"e": the database has no room for another device` {
		t.Error(err)
	}
	if got := counts(t, s); !maps.Equal(got, want) {
		t.Errorf("after an import that failed:\n got %v\nwant %v", got, want)
	}
}
