package transfer

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// line is a row as JSON.
type line struct {
	Period    string       `json:"period"`
	Start     string       `json:"start"`
	Device    string       `json:"device"`
	Name      string       `json:"name"`
	MAC       string       `json:"mac"`
	Vendor    string       `json:"vendor"`
	Addresses []netip.Addr `json:"addresses"`
	report.Traffic
	report.Local
}

// header is the head of CSV: the keys of line.
func header() []string {
	return []string{"period", "start", "device", "name", "mac", "vendor", "addresses",
		"up_bytes", "down_bytes", "up_packets", "down_packets",
		"lan_up_bytes", "lan_down_bytes", "lan_up_packets", "lan_down_packets"}
}

// counters returns the columns of numbers of a row.
func counters(u *usage.Usage) [8]*uint64 {
	return [8]*uint64{
		&u.WAN.UpBytes, &u.WAN.DownBytes, &u.WAN.UpPackets, &u.WAN.DownPackets,
		&u.LAN.UpBytes, &u.LAN.DownBytes, &u.LAN.UpPackets, &u.LAN.DownPackets,
	}
}

// Writer writes rows to a file.
type Writer interface {
	Write(row *store.ImportRow) error
	Flush() error // writes what is left
}

// NewCSV returns a Writer of CSV.
func NewCSV(w io.Writer) Writer { return &csvWriter{Writer: csv.NewWriter(w)} }

// NewJSON returns a Writer of JSON, an object a line.
func NewJSON(w io.Writer) Writer { return &jsonWriter{bufio.NewWriter(w)} }

type csvWriter struct {
	*csv.Writer
	begun bool
}

func (w *csvWriter) begin() {
	if !w.begun {
		w.begun = true
		_ = w.Writer.Write(header()) // Error keeps it
	}
}

func (w *csvWriter) Write(row *store.ImportRow) error {
	w.begin()
	addresses := make([]string, len(row.Addresses))
	for i, a := range row.Addresses {
		addresses[i] = a.String()
	}
	cells := []string{periodName(row.Period), formatStart(row.Period, row.Start),
		report.Cell(row.ID), report.Cell(row.Name), report.Cell(row.MAC), report.Cell(row.Vendor),
		strings.Join(addresses, " ")}
	for _, n := range counters(&row.Usage) {
		cells = append(cells, strconv.FormatUint(*n, 10))
	}
	return w.Writer.Write(cells)
}

func (w *csvWriter) Flush() error {
	w.begin()
	w.Writer.Flush()
	return w.Error()
}

type jsonWriter struct{ *bufio.Writer }

func (w *jsonWriter) Write(row *store.ImportRow) error {
	l := line{
		Period: periodName(row.Period), Start: formatStart(row.Period, row.Start), Device: row.ID,
		Name: row.Name, MAC: row.MAC, Vendor: row.Vendor, Addresses: row.Addresses,
		Traffic: report.Traffic(row.WAN), Local: report.Local(row.LAN),
	}
	if l.Addresses == nil {
		l.Addresses = []netip.Addr{}
	}
	b, err := json.Marshal(&l)
	if err != nil {
		return err
	}
	_, err = w.Writer.Write(append(b, '\n'))
	return err
}

// readLines reads JSON, an object a line.
func readLines(r io.Reader, o Options, fn func(*store.ImportRow) error) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxLine)
	for n := 1; in.Scan(); n++ {
		text := bytes.TrimPrefix(in.Bytes(), []byte("\xef\xbb\xbf"))
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		row, err := parseLine(text, o.Calendar.Location)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return in.Err()
}

func parseLine(text []byte, in *time.Location) (*store.ImportRow, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return nil, err
	}
	row := &store.ImportRow{
		Device: usage.Device{ID: l.Device, Name: l.Name, MAC: l.MAC, Vendor: l.Vendor,
			Addresses: l.Addresses},
		Usage: usage.Usage{WAN: usage.Counters(l.Traffic), LAN: usage.Counters(l.Local)},
	}
	var err error
	if row.Period, row.Start, err = parseStart(l.Period, l.Start, in); err != nil {
		return nil, err
	}
	row.Addresses = slices.DeleteFunc(row.Addresses, func(a netip.Addr) bool { return !a.IsValid() })
	return row, checkRow(row)
}

// readCSV reads our CSV. Its columns may stand in any order, and others beside them.
func readCSV(r io.Reader, o Options, fn func(*store.ImportRow) error) error {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	head, err := in.Read()
	if err != nil {
		return err
	}
	columns, err := findColumns(head, header()...)
	if err != nil {
		return err
	}
	for {
		cells, err := in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		row, err := parseCells(cells, columns, o.Calendar.Location)
		if err != nil {
			n, _ := in.FieldPos(0)
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := fn(row); err != nil {
			return err
		}
	}
}

// findColumns returns where columns of a table are.
func findColumns(head []string, names ...string) (map[string]int, error) {
	columns := map[string]int{}
	for i, name := range head {
		name = strings.TrimPrefix(name, "\ufeff")
		if _, twice := columns[name]; twice {
			return nil, fmt.Errorf("column %s is there twice", name)
		}
		columns[name] = i
	}
	for _, name := range names {
		if _, found := columns[name]; !found {
			return nil, fmt.Errorf("column %s is missing", name)
		}
	}
	return columns, nil
}

func parseCells(
	cells []string, columns map[string]int, in *time.Location,
) (row *store.ImportRow, err error) {
	cell := func(name string) string { return cells[columns[name]] }
	text := func(name string) string { return report.Uncell(cell(name)) }
	row = &store.ImportRow{Device: usage.Device{
		ID: text("device"), Name: text("name"), MAC: text("mac"), Vendor: text("vendor"),
	}}
	if row.Period, row.Start, err = parseStart(cell("period"), cell("start"), in); err != nil {
		return nil, err
	}
	for _, s := range strings.Fields(cell("addresses")) {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, err
		}
		row.Addresses = append(row.Addresses, a)
	}
	for i, n := range counters(&row.Usage) {
		name := header()[len(header())-8+i]
		if *n, err = strconv.ParseUint(cell(name), 10, 64); err != nil {
			return nil, fmt.Errorf("%s %q: want a number", name, cell(name))
		}
	}
	return row, checkRow(row)
}
