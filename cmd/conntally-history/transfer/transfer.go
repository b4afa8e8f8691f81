// Package transfer writes usage to files and reads it from them: files of ours, and what
// nlbwmon and vnStat print.
//
//	store.Reader -> ImportRow -> CSV, or JSON by lines -> ImportRow -> store.Store.Import
//	nlbw -c json | nlbw -c csv | vnstat --json         -> ImportRow -> store.Store.Import
package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Options are what a file doesn't say.
type Options struct {
	Calendar usage.Calendar
	// Month is the start of the month that a file of nlbwmon is about; zero if that is unknown.
	Month time.Time
	// Interface is the one to take from a file of vnStat: the uplink. "" is the only one.
	Interface string
}

// Limits of what a file may hold.
const (
	maxText = 1 << 10 // bytes of a device's ID, name, and so on
	maxLine = 1 << 20
	// maxWhole is the size of files that have to be read as a whole, those of other programs.
	maxWhole = 64 << 20
	maxCount = 1 << 53
)

// ErrFormat says that a file is of no known format.
var ErrFormat = errors.New("want CSV or JSON of conntally-history export, nlbw -c json or csv, " +
	"or vnstat --json")

// Read calls fn with each row of a file, until fn returns an error. The file's format is found
// out by how it begins.
func Read(file io.Reader, o Options, fn func(*store.ImportRow) error) error {
	in := bufio.NewReaderSize(file, 1<<16)
	head, err := in.Peek(1 << 12)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	head = bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")) // of spreadsheets
	first := bytes.TrimLeft(head, " \t\r\n")
	line, _, _ := bytes.Cut(first, []byte("\n"))
	switch {
	case bytes.HasPrefix(first, []byte("{")) && bytes.Contains(head, []byte(`"vnstatversion"`)):
		return readVnstat(in, o, fn)
	case bytes.HasPrefix(first, []byte("{")) && bytes.Contains(line, []byte(`"columns"`)):
		return readNlbwJSON(in, o, fn)
	case bytes.HasPrefix(first, []byte("{")) && bytes.Contains(line, []byte(`"period"`)):
		return readLines(in, o, fn)
	case bytes.HasPrefix(first, []byte("period,")):
		return readCSV(in, o, fn)
	case bytes.Contains(line, []byte("rx_bytes")) && bytes.Contains(line, []byte("tx_bytes")):
		return readNlbwCSV(in, o, fn)
	}
	return ErrFormat
}

// checkRow reports what can't be true.
func checkRow(row *store.ImportRow) error {
	if row.ID == "" {
		return errors.New("the device is missing")
	}
	for _, s := range []string{row.ID, row.Name, row.MAC, row.Vendor} {
		if len(s) > maxText {
			return fmt.Errorf("a text of %d bytes: want at most %d", len(s), maxText)
		}
	}
	if y := row.Start.Year(); y < 1970 || y > 9999 {
		return fmt.Errorf("year %d: want one from 1970", y)
	}
	for _, c := range []usage.Counters{row.WAN, row.LAN} {
		if max(c.UpBytes, c.DownBytes, c.UpPackets, c.DownPackets) > maxCount {
			return errors.New("a count above 2^53")
		}
	}
	return nil
}

// readWhole reads a file of another program.
func readWhole(r io.Reader) ([]byte, error) { return io.ReadAll(&limited{r, maxWhole}) }

// limited reads a file up to a limit. Beyond it there is an error: the beginning of a file, taken
// for all of it, would be imported in part.
type limited struct {
	io.Reader
	left int64
}

func (l *limited) Read(b []byte) (int, error) {
	n, err := l.Reader.Read(b)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("the file is larger than %d MiB", maxWhole>>20)
	}
	return n, err
}

// periodName returns the name of a period in files.
func periodName(p store.Period) string {
	switch p {
	case store.ByHour:
		return "hour"
	case store.ByDay:
		return "day"
	}
	return "month"
}

// formatStart returns when a period begins: an hour as a time with its zone, days and months
// as they are called.
func formatStart(p store.Period, t time.Time) string {
	switch p {
	case store.ByHour:
		return t.Format(time.RFC3339)
	case store.ByDay:
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01")
}

// parseStart is the inverse of formatStart and periodName.
func parseStart(period, text string, in *time.Location) (store.Period, time.Time, error) {
	var p store.Period
	var t time.Time
	var err error
	switch period {
	case "hour":
		p = store.ByHour
		t, err = time.Parse(time.RFC3339, text)
		t = t.In(in)
	case "day":
		p = store.ByDay
		t, err = time.Parse(time.DateOnly, text)
		t = usage.Calendar{Location: in}.Date(t.Date())
	case "month":
		p = store.ByMonth
		t, err = time.Parse("2006-01", text)
		t = usage.Calendar{Location: in}.Date(t.Date())
	default:
		return p, t, fmt.Errorf("period %q: want hour, day or month", period)
	}
	if err != nil {
		err = fmt.Errorf("start %q: want the start of a %s, such as %q", text, period,
			formatStart(p, time.Date(2026, 11, 29, 10, 0, 0, 0, time.UTC)))
	}
	return p, t, err
}
