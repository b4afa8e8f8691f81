package store

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// numbered is batch n of those that the tests of crashes write: it adds n bytes, and leaves n
// as the sequence.
func numbered(s *Store, n int) *usage.Batch {
	return batchAt(s, noon().Add(time.Duration(n)*10*time.Minute), fmt.Sprint("device ", n%7), uint64(n))
}

// written returns how many batches a database has, and checks that all of them are there once:
// by device, by destination and by service, with the sequence of the last one.
func written(t *testing.T, s *Store) int {
	t.Helper()
	state, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, seq := range state.Sequences {
		last = int(seq.Next)
	}
	want := uint64(last * (last + 1) / 2)
	var byDevice, byDestination, byService usage.Usage
	span := Span{From: noon().AddDate(-1, 0, 0), To: noon().AddDate(1, 0, 0)}
	rows, err := s.Reader().Devices(t.Context(), span)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		byDevice.Add(row.Usage)
	}
	services, err := s.Reader().Services(t.Context(), span)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range services {
		byService.WAN.Add(row.Counters)
	}
	byDestination = storedDestinations(t, s)
	if byDevice.WAN.UpBytes != want || byDevice.LAN.DownBytes != 4*want ||
		byDestination != byDevice || byService.WAN != byDevice.WAN {
		t.Errorf("%d batches, but not each of them once:\ndevices %v\ndestinations %v\nservices %v",
			last, byDevice, byDestination, byService)
	}
	if cursor := fmt.Sprint("cursor ", last); last > 0 && state.JournalCursor != cursor {
		t.Error(state.JournalCursor, "not", cursor)
	}
	return last
}

// storedDestinations adds up the rows of destinations, without what the views make up for.
func storedDestinations(t *testing.T, s *Store) (u usage.Usage) {
	t.Helper()
	err := s.db.QueryRow("SELECT " + sums(devices().columns) + " FROM destination_rows").
		Scan(usageTargets(&u)...)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

const crashWriterVariable = "CONNTALLY_HISTORY_CRASH_WRITER"

// TestCrashWriter is the program that TestAKillLosesNothingThatWasWritten kills: it writes
// batches, and prints the number of each when it is written.
func TestCrashWriter(t *testing.T) {
	path := os.Getenv(crashWriterVariable)
	if path == "" {
		t.Skip("another test runs it")
	}
	s, aside, err := Open(t.Context(), path, noon(), testOptions(t))
	if err != nil || aside != nil {
		fmt.Println("failed:", err, aside)
		os.Exit(1)
	}
	for n := written(t, s) + 1; ; n++ {
		b := numbered(s, n)
		err := s.Write(t.Context(), b)
		if err == nil {
			fmt.Println(n)
		}
		if err == nil && n%11 == 0 {
			err = s.Prune(t.Context(), b.At)
		}
		if err == nil && n%7 == 0 {
			_, err = s.db.Exec("PRAGMA wal_checkpoint(PASSIVE)")
		}
		if err != nil || t.Failed() {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
	}
}

func TestAKillLosesNothingThatWasWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	random := rand.New(rand.NewPCG(5, 6))
	last := 0
	const kills = 50
	for range kills {
		acknowledged := killWriter(t, path, random.IntN(12))
		s, aside, err := Open(t.Context(), path, noon(), testOptions(t))
		if err != nil || aside != nil {
			t.Fatal(err, aside)
		}
		got := written(t, s)
		if acknowledged = max(acknowledged, last); got != acknowledged && got != acknowledged+1 {
			t.Fatalf("%d batches were written, %d are there", acknowledged, got)
		}
		last = got
		if err := s.Close(noon().Add(time.Duration(got) * 10 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
	t.Log(last, "batches")
	if last < kills {
		t.Error("the writer did not come to write")
	}
}

// killWriter runs the writer, kills it once it has printed lines lines, and returns the number of
// the last batch that it called written.
func killWriter(t *testing.T, path string, lines int) (acknowledged int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashWriter$")
	cmd.Env = append(os.Environ(), crashWriterVariable+"="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	count := 0
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if strings.HasPrefix(scan.Text(), "failed") {
			t.Error(scan.Text())
		}
		if _, err := fmt.Sscan(scan.Text(), &acknowledged); err != nil {
			t.Error(scan.Text(), err)
		}
		if count++; count == lines+1 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return acknowledged
}

// A power cut leaves of the log any part that was not yet forced to the disk, and of the file any
// pages while the log is being copied into it.
func TestAPowerCutLeavesWholeBatches(t *testing.T) {
	dir := memoryDir(t)
	path := filepath.Join(dir, "history.db")
	s := open(t, path, noon(), testOptions(t))
	random := rand.New(rand.NewPCG(7, 8))
	forced, salt := 0, uint64(0) // length of the log that is on the disk for sure, and its salt
	least := 0                   // batches that are
	for n := 1; n <= 60; n++ {
		write(t, s, numbered(s, n))
		log := content(t, path+"-wal")
		if now := binary.BigEndian.Uint64(log[16:]); now != salt {
			forced, salt = 0, now // a new log, since all of the old one is in the file
		}
		file := content(t, path)
		for range 3 {
			cut := forced + random.IntN(len(log)-forced+1)
			torn := append([]byte(nil), log[:cut]...)
			for i := max(forced, cut-100); i < cut && random.IntN(2) == 0; i++ {
				torn[i] ^= byte(random.IntN(256))
			}
			afterPowerCut(t, dir, file, torn, least, n)
		}
		if n%9 == 0 {
			if _, err := s.db.Exec("PRAGMA wal_checkpoint(PASSIVE)"); err != nil {
				t.Fatal(err)
			}
			half := content(t, path)
			for page := 0; page+512 <= len(file); page += 512 {
				if random.IntN(2) == 0 {
					copy(half[page:page+512], file[page:])
				}
			}
			if random.IntN(2) == 0 {
				half = half[:max(len(file), 512*random.IntN(len(half)/512+1))]
			}
			forced, least = len(log), n
			afterPowerCut(t, dir, half, log, n, n)
		}
	}
}

// afterPowerCut opens copies of a file and its log.
func afterPowerCut(t *testing.T, dir string, file, log []byte, least, most int) {
	t.Helper()
	path := filepath.Join(dir, "copy.db")
	defer clean(t, path)
	put(t, path, file)
	put(t, path+"-wal", log)
	if len(file) == 0 {
		return // nothing was ever forced to the disk
	}
	s, aside, err := Open(t.Context(), path, noon(), testOptions(t))
	if err != nil || aside != nil {
		t.Fatal(err, aside)
	}
	if got := written(t, s); got < least || got > most {
		t.Errorf("%d batches, not between %d and %d", got, least, most)
	}
	if err := s.Close(noon()); err != nil {
		t.Error(err)
	}
}

// merged is two batches in one, as a program has that could not write the first.
func merged(a, b *usage.Batch) *usage.Batch {
	for k, v := range a.Hours {
		v.Add(b.Hours[k])
		b.Hours[k] = v
	}
	for k, v := range a.Destinations {
		w := b.Destinations[k]
		v.Add(w.Usage)
		if v.First.After(w.First) && !w.First.IsZero() {
			v.First = w.First
		}
		b.Destinations[k] = v
	}
	for k, v := range a.Services {
		v.Add(b.Services[k])
		b.Services[k] = v
	}
	for k, v := range a.Exporters {
		v.Add(b.Exporters[k])
		b.Exporters[k] = v
	}
	b.Devices = append(a.Devices, b.Devices...)
	return b
}

func TestAFullDataBaseWritesNothingAndAllOnceThereIsRoom(t *testing.T) {
	s := openNew(t)
	writeUntilFull(t, s, func() {
		if _, err := s.db.Exec("PRAGMA max_page_count = 1"); err != nil { // no more than there are
			t.Fatal(err)
		}
	}, func() {
		if _, err := s.db.Exec("PRAGMA max_page_count = 1000000"); err != nil {
			t.Fatal(err)
		}
	})
}

// writeUntilFull writes batches until one fails, frees room, and writes what is left.
func writeUntilFull(t *testing.T, s *Store, fill, free func()) {
	t.Helper()
	n := 1
	for ; n <= 50; n++ {
		write(t, s, numbered(s, n))
	}
	fill()
	var err error
	for n--; err == nil && n < 5000; {
		n++
		err = s.Write(t.Context(), numbered(s, n))
	}
	if err == nil {
		t.Fatal("never full")
	}
	t.Log("batch", n, err)
	if got := written(t, s); got != n-1 {
		t.Errorf("%d batches, not %d", got, n-1)
	}
	left := merged(numbered(s, n), numbered(s, n+1))
	if err := s.Write(t.Context(), left); err == nil {
		t.Error("written though it is full")
	}
	free()
	write(t, s, merged(numbered(s, n), numbered(s, n+1)))
	if got := written(t, s); got != n+1 {
		t.Errorf("%d batches, not %d", got, n+1)
	}
	if err := check(t.Context(), s.db); err != nil {
		t.Error(err)
	}
}

func mountTemporary(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skip("mounting a file system: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestAFullDiskWritesNothingAndAllOnceThereIsRoom(t *testing.T) {
	dir := mountTemporary(t, "size=1m")
	s := open(t, filepath.Join(dir, "history.db"), noon(), testOptions(t))
	ballast := filepath.Join(dir, "ballast")
	writeUntilFull(t, s, func() {
		f, err := os.Create(ballast)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close() // it is full
		for err == nil {
			_, err = f.Write(make([]byte, 4096))
		}
	}, func() {
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAReadOnlyFileSystemWritesNothingAndAllOnceItCanBeWritten(t *testing.T) {
	dir := mountTemporary(t, "size=4m")
	path := filepath.Join(dir, "history.db")
	s := open(t, path, noon(), testOptions(t))
	write(t, s, numbered(s, 1))
	if err := s.Close(noon()); err != nil {
		t.Fatal(err)
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, "size=4m"); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	if _, aside, err := Open(t.Context(), path, noon(), testOptions(t)); err == nil || aside != nil {
		t.Error("opened to be written:", aside)
	}
	remount(0)
	s = open(t, path, noon(), testOptions(t))
	write(t, s, numbered(s, 2))
	if got := written(t, s); got != 2 {
		t.Error(got)
	}
}
