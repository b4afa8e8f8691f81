package store

import (
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// setBack returns a database whose clock was two days ahead, with exporters "a" and "b" of
// sequences 10 and 20, and then was set back to noon, where "b" has gone on to 21.
func setBack(t *testing.T) (s *Store, want map[usage.Exporter]usage.Sequence) {
	t.Helper()
	a := usage.Exporter{Address: netip.MustParseAddr("192.0.2.1"), Version: 10}
	b := usage.Exporter{Address: netip.MustParseAddr("192.0.2.2"), Version: 10}
	batch := func(at time.Time, sequences map[usage.Exporter]usage.Sequence) *usage.Batch {
		batch := &usage.Batch{At: at, Sequences: sequences,
			Exporters: map[usage.ExporterHour]usage.Intake{}}
		hour, day := s.options.Calendar.Hour(at)
		for e := range sequences {
			batch.Exporters[usage.ExporterHour{Hour: hour, Day: day, Exporter: e}] = usage.Intake{Records: 1}
		}
		return batch
	}
	ahead := noon().AddDate(0, 0, 2)
	s = open(t, filepath.Join(t.TempDir(), "history.db"), ahead, testOptions(t))
	write(t, s, batch(ahead, map[usage.Exporter]usage.Sequence{a: {Next: 10}, b: {Next: 20}}),
		batch(noon(), map[usage.Exporter]usage.Sequence{b: {Next: 21}}))
	return s, map[usage.Exporter]usage.Sequence{a: {Next: 10}, b: {Next: 21}}
}

func expectState(t *testing.T, s *Store, sequences map[usage.Exporter]usage.Sequence,
	flushed time.Time) {
	t.Helper()
	state, err := s.State(t.Context())
	if err != nil || !maps.Equal(state.Sequences, sequences) {
		t.Errorf("sequences %v, want %v; %v", state.Sequences, sequences, err)
	}
	extent, err := s.Reader().Extent(t.Context())
	if err != nil || !extent.Flushed.Equal(flushed) {
		t.Errorf("as of %v, want %v; %v", extent.Flushed, flushed, err)
	}
}

// Once a clock that was ahead is set back, what was written since is what counts.
func TestAClockThatWasAhead(t *testing.T) {
	s, want := setBack(t)
	expectState(t, s, want, noon())
	write(t, s, &usage.Batch{At: noon().Add(5 * time.Minute)}) // nothing came
	expectState(t, s, want, noon().Add(5*time.Minute))
	abandon(t, s)

	restarted := noon().Add(time.Hour)
	s = open(t, s.reader.path, restarted, s.options)
	expectState(t, s, want, restarted)
	l, err := s.Reader().Losses(t.Context(), noon(), restarted.Add(time.Hour))
	if err != nil || len(l.Absent) != 1 || !l.Absent[0].From.Equal(noon().Add(5*time.Minute)) ||
		!l.Absent[0].To.Equal(restarted) || !l.Absent[0].Crash {
		t.Error(l.Absent, err)
	}
	exporters, err := s.Reader().Exporters(t.Context(), day(s, noon().AddDate(0, 0, 2)))
	if err != nil || len(exporters) != 2 {
		t.Error("what was counted is gone:", exporters, err)
	}
}

// The clock may be set back while nothing runs, too.
func TestAClockThatWasAheadUntilARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	ahead := noon().AddDate(0, 0, 2)
	s := open(t, path, ahead, testOptions(t))
	write(t, s, batchAt(s, ahead.Add(30*time.Minute), "a", 5))
	sequence := usage.Sequence{Port: 5, Next: 5}
	exporter := usage.Exporter{Address: netip.MustParseAddr("192.0.2.1"), Version: 10, Domain: 7}
	abandon(t, s)
	s = open(t, path, noon(), testOptions(t))
	expectState(t, s, map[usage.Exporter]usage.Sequence{exporter: sequence}, noon())
	if err := s.Close(noon().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	s = open(t, path, noon().Add(2*time.Hour), testOptions(t))
	l, err := s.Reader().Losses(t.Context(), noon().AddDate(0, 0, -1), noon().AddDate(0, 0, 3))
	want := []usage.Absence{{From: noon().Add(time.Hour), To: noon().Add(2 * time.Hour)}}
	for i := range l.Absent {
		l.Absent[i].From, l.Absent[i].To = l.Absent[i].From.UTC(), l.Absent[i].To.UTC()
	}
	if err != nil || !slices.Equal(l.Absent, want) {
		t.Errorf("%v, want %v; %v", l.Absent, want, err)
	}
}
