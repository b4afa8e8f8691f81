package store

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

func TestTimesWithoutTheProgramAreLosses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	at := func(minutes int) time.Time { return noon().Add(time.Duration(minutes) * time.Minute) }

	s := open(t, path, at(0), testOptions(t))
	write(t, s, batchAt(s, at(10), "a", 1))
	if err := s.Close(at(15)); err != nil { // as it should
		t.Fatal(err)
	}
	s = open(t, path, at(60), testOptions(t))
	write(t, s, batchAt(s, at(65), "a", 2), batchAt(s, at(70), "a", 3))
	abandon(t, s) // a crash after a flush with records
	s = open(t, path, at(120), testOptions(t))
	write(t, s, &usage.Batch{At: at(130)})
	abandon(t, s) // a crash after a flush without
	s = open(t, path, at(180), testOptions(t))
	abandon(t, s) // a crash before the first flush
	s = open(t, path, at(200), testOptions(t))

	losses := func(from, to int) []usage.Absence {
		t.Helper()
		l, err := s.Reader().Losses(t.Context(), at(from), at(to))
		if err != nil {
			t.Fatal(err)
		}
		for i := range l.Absent {
			l.Absent[i].From, l.Absent[i].To = l.Absent[i].From.UTC(), l.Absent[i].To.UTC()
		}
		return l.Absent
	}
	all := []usage.Absence{{From: at(15), To: at(60)}, {From: at(70), To: at(120), Crash: true},
		{From: at(130), To: at(180), Crash: true}, {From: at(180), To: at(200), Crash: true}}
	if got := losses(-1000, 1000); !slices.Equal(got, all) {
		t.Errorf("%v, not %v", got, all)
	}
	if got := losses(30, 100); !slices.Equal(got, []usage.Absence{
		{From: at(30), To: at(60)}, {From: at(70), To: at(100), Crash: true}}) {
		t.Error("a part:", got)
	}
	if got := losses(61, 69); got != nil {
		t.Error("while it ran:", got)
	}
	extent, err := s.Reader().Extent(t.Context())
	if err != nil || !extent.Flushed.Equal(at(200)) || !extent.First.Equal(at(0)) ||
		!extent.Last.Equal(at(120)) || extent.Size == 0 {
		t.Errorf("%+v %v", extent, err)
	}
	if err := s.Close(at(210)); err != nil {
		t.Fatal(err)
	}
	r, err := OpenReader(t.Context(), path, s.options.Calendar)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() // not what is tested
	l, err := r.Losses(t.Context(), at(205), at(300))
	if err != nil || len(l.Absent) != 1 || !l.Absent[0].From.Equal(at(210)) ||
		!l.Absent[0].To.Equal(at(300)) {
		t.Error("after the end:", l.Absent, err)
	}
}

// abandon closes a database as a crash does: the run does not end.
func abandon(t *testing.T, s *Store) {
	t.Helper()
	s.run = 0
	if err := s.Close(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

func TestManyRunsDoNotFillTheFile(t *testing.T) {
	s := openNew(t)
	_, err := s.db.Exec(`WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n
		WHERE i < 12000) INSERT INTO run (started, updated, ended)
		SELECT ?1 + i, ?1 + i, ?1 + i FROM n`, noon().Unix())
	if err != nil {
		t.Fatal(err)
	}
	prune(t, s, noon())
	if got := rows(t, s, "run"); got > mostRuns {
		t.Error(got)
	}
}
