package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A second writer is refused, and changes nothing: the first one's run goes on.
func TestASecondWriterIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := open(t, path, noon(), testOptions(t))
	write(t, s, batchAt(s, noon(), "a", 1))
	for range 2 {
		_, aside, err := Open(t.Context(), path, noon().Add(time.Minute), testOptions(t))
		if !errors.Is(err, ErrInUse) || aside != nil {
			t.Fatal(err, aside)
		}
	}
	l, err := s.Reader().Losses(t.Context(), noon(), noon().Add(time.Hour))
	if err != nil || l.Absent != nil || rows(t, s, "run") != 1 {
		t.Error(l.Absent, rows(t, s, "run"), err)
	}
	r, err := OpenReader(t.Context(), path, s.options.Calendar)
	if err != nil {
		t.Fatal("a reader:", err)
	}
	if err := errors.Join(r.Close(), s.Close(noon().Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	open(t, path, noon().Add(2*time.Hour), testOptions(t)) // it is free
}

// Nor is a damaged database set aside that another one writes.
func TestADatabaseInUseIsNotSetAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	open(t, path, noon(), testOptions(t))
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	_, aside, err := Open(t.Context(), path, noon(), testOptions(t))
	if !errors.Is(err, ErrInUse) || aside != nil {
		t.Error(err, aside)
	}
}

// A database that can't be opened stays free, and so does one whose lock file is left.
func TestAFailedOpenLeavesTheDatabaseFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	put(t, path, make([]byte, 5000))
	o := testOptions(t)
	o.WithoutRun = true
	if _, _, err := Open(t.Context(), path, noon(), o); err == nil {
		t.Fatal("a damaged database was opened")
	}
	put(t, path, []byte("SQLite format 3\x00"))
	if aside := openAnyway(t, path); aside == nil {
		t.Error("it was not set aside")
	}
	open(t, path, noon(), testOptions(t))
}
