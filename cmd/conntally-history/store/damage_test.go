package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// closedFile returns a small database that was closed.
func closedFile(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "history.db")
	s := open(t, path, noon(), testOptions(t))
	for n := range 20 {
		write(t, s, batchAt(s, noon().Add(time.Duration(n)*time.Hour), fmt.Sprint("device ", n%5), 9))
	}
	if err := s.Prune(t.Context(), noon().Add(48*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(noon().Add(48 * time.Hour)); err != nil {
		t.Fatal(err)
	}
	return content(t, path)
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func put(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// openAnyway opens what may be damaged and reports whether it was set aside. In both cases what
// is open then must work, and what was set aside must still be there.
func openAnyway(t *testing.T, path string) (aside *SetAside) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, aside, err := Open(ctx, path, noon().Add(72*time.Hour), testOptions(t))
	if err != nil {
		t.Fatal(err)
	}
	if aside == nil { // else it is a new one
		if err := use(ctx, s); err != nil {
			t.Error("opened, and then:", err)
		}
	}
	if err := s.Close(noon().Add(73 * time.Hour)); err != nil {
		t.Error(err)
	}
	if aside != nil {
		if _, err := os.Stat(aside.Path); err != nil {
			t.Error(err)
		}
		if !errors.Is(aside.Why, errDamaged) {
			t.Error("set aside without a reason:", aside.Why)
		}
	}
	return aside
}

// use does with a database what a program does.
func use(ctx context.Context, s *Store) error {
	b := batchAt(s, noon().Add(72*time.Hour), "device 1", 5)
	errs := []error{s.Write(ctx, b), s.Prune(ctx, b.At)}
	span := Span{From: noon().Add(-1e6 * time.Second), To: noon().Add(1e6 * time.Second),
		Period: ByDay}
	_, err := s.State(ctx)
	errs = append(errs, err)
	_, err = s.Reader().Devices(ctx, span)
	errs = append(errs, err)
	_, err = s.Reader().Destinations(ctx, span)
	errs = append(errs, err)
	_, err = s.Reader().Services(ctx, span)
	errs = append(errs, err)
	_, err = s.Reader().Losses(ctx, span.From, span.To)
	return errors.Join(append(errs, err)...)
}

func TestATruncatedFileIsSetAsideAtEveryLength(t *testing.T) {
	whole := closedFile(t)
	step := 7
	if testing.Short() {
		step = 97
	}
	lengths := []int{}
	for n := 0; n < len(whole); n += 512 {
		for _, n := range []int{n - 1, n, n + 1} {
			if n >= 0 && n < len(whole) {
				lengths = append(lengths, n)
			}
		}
	}
	for n := 0; n < 1024; n += step { // the header and the first page
		lengths = append(lengths, n)
	}
	dir := memoryDir(t)
	for _, n := range lengths {
		path := filepath.Join(dir, fmt.Sprint(n))
		put(t, path, whole[:n])
		if aside := openAnyway(t, path); aside == nil {
			t.Errorf("%d of %d bytes: taken as whole", n, len(whole))
		} else if got := content(t, aside.Path); string(got) != string(whole[:n]) {
			t.Errorf("%d bytes: what is set aside has changed", n)
		}
		clean(t, path)
	}
}

// memoryDir is a directory in memory where there is one: many small files wait long for a disk.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "conntally-history")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// clean removes the files of a database, since all together they would fill a disk.
func clean(t *testing.T, path string) {
	t.Helper()
	all, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if err := os.Remove(f); err != nil {
			t.Error(err)
		}
	}
}

func TestAFileWithFlippedBytesOpensOrIsSetAsideOrRefused(t *testing.T) {
	whole := closedFile(t)
	random := rand.New(rand.NewPCG(3, 4))
	dir := memoryDir(t)
	outcomes := map[string]int{}
	for n := range 300 {
		damaged := append([]byte(nil), whole...)
		for range 1 + random.IntN(20) {
			at := random.IntN(len(whole))
			if n%3 == 0 {
				at = random.IntN(100) // the header
			}
			damaged[at] ^= byte(1 + random.IntN(255))
		}
		path := filepath.Join(dir, fmt.Sprint(n))
		put(t, path, damaged)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		s, aside, err := Open(ctx, path, noon(), testOptions(t))
		switch {
		case err != nil: // such as of a newer version, by its header: it stays as it is
			outcomes["refused"]++
			if ctx.Err() != nil {
				t.Error("hangs")
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
		case aside != nil:
			outcomes["set aside"]++
			if err := use(ctx, s); err != nil {
				t.Error(err)
			}
		default:
			outcomes["opened"]++
			_ = use(ctx, s) // an error, or numbers that are consistent; never a panic
		}
		if s != nil {
			_ = s.Close(noon())
		}
		cancel()
		clean(t, path)
	}
	t.Log(outcomes)
	if outcomes["set aside"] == 0 {
		t.Error("nothing was set aside")
	}
}

func TestWhatAPowerCutLeavesIsSetAsideAndSaid(t *testing.T) {
	whole := closedFile(t)
	for _, test := range []struct {
		name     string
		db, log  []byte // nil: not there
		why      string
		together bool // the log goes with its file
	}{
		{name: "empty file", db: []byte{}, why: "empty (0 bytes)"},
		{name: "empty file with a log", db: []byte{}, log: whole, why: "empty (0 bytes)", together: true},
		{name: "log alone", log: whole, why: "only its log is left", together: true},
		{name: "zeros", db: make([]byte, 4096), why: "not a database"},
		{name: "a byte", db: []byte{'S'}, why: "1 bytes only"},
		{name: "other content", db: []byte("<html>" + strings.Repeat("page", 500)),
			why: "not a database"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.db")
			if test.db != nil {
				put(t, path, test.db)
			}
			if test.log != nil {
				put(t, path+"-wal", test.log)
			}
			s, aside, err := Open(t.Context(), path, noon(), testOptions(t))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close(noon()) // not what is tested
			if aside == nil || !strings.Contains(aside.Why.Error(), test.why) {
				t.Fatal("set aside:", aside)
			}
			if want := path + ".damaged-20261129T110000Z"; aside.Path != want {
				t.Error(aside.Path, "not", want)
			}
			if test.together && string(content(t, aside.Path+"-wal")) != string(test.log) {
				t.Error("the log is another")
			}
			if err := use(t.Context(), s); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestWhatIsSetAsideTwiceInASecondIsKeptTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	for n := range 3 {
		put(t, path, []byte(fmt.Sprint("damaged ", n)))
		s, aside, err := Open(t.Context(), path, noon(), testOptions(t))
		if err != nil || aside == nil {
			t.Fatal(aside, err)
		}
		if got := string(content(t, aside.Path)); got != fmt.Sprint("damaged ", n) {
			t.Error(got)
		}
		if err := s.Close(noon()); err != nil {
			t.Fatal(err)
		}
	}
	if all, _ := filepath.Glob(path + ".damaged-*"); len(all) != 3 {
		t.Error(all)
	}
}

func TestAnotherProgramsDataBaseIsLeftAlone(t *testing.T) {
	for _, test := range []struct {
		name, sql, want string
		is              error
	}{
		{"newer version", "PRAGMA user_version = 99", "of a newer version", ErrVersion},
		{"another program's", "PRAGMA application_id = 5", "not a database of conntally-history", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history.db")
			s := open(t, path, noon(), testOptions(t))
			if _, err := s.db.Exec(test.sql); err != nil {
				t.Fatal(err)
			}
			if err := s.Close(noon()); err != nil {
				t.Fatal(err)
			}
			before := content(t, path)
			check := func(err error) {
				t.Helper()
				if err == nil || !strings.Contains(err.Error(), test.want) ||
					test.is != nil && !errors.Is(err, test.is) {
					t.Error(err)
				}
			}
			_, aside, err := Open(t.Context(), path, noon(), testOptions(t))
			check(err)
			if aside != nil {
				t.Error("set aside:", aside)
			}
			_, err = OpenReader(t.Context(), path, usage.Calendar{Location: time.UTC})
			check(err)
			if string(content(t, path)) != string(before) {
				t.Error("the file has changed")
			}
		})
	}
}

func TestAReaderSaysWhatIsMissing(t *testing.T) {
	_, err := OpenReader(t.Context(), filepath.Join(t.TempDir(), "none.db"), usage.Calendar{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "empty.db")
	put(t, path, nil)
	if _, err := OpenReader(t.Context(), path, usage.Calendar{}); err == nil {
		t.Error("an empty file was opened")
	}
	if got := content(t, path); len(got) != 0 {
		t.Error("a reader has written")
	}
}
