package report

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/internal/text"
)

// JSON writes the report as one object on one line.
func (r *Report) JSON(w io.Writer) error { return encode(w, r) }

// JSON writes the quotas as one object on one line.
func (q *Quotas) JSON(w io.Writer) error { return encode(w, q) }

func encode(w io.Writer, object any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// CSV writes the rows, with the keys of JSON as heads. What is missing from them is not in the
// table: see Losses.
func (r *Report) CSV(w io.Writer) error {
	out := NewRowWriter(w, r.query.By, r.query.Period, false)
	for i := range r.Rows {
		if err := out.Write(&r.Rows[i]); err != nil {
			return err
		}
	}
	return out.Flush()
}

// RowWriter writes rows of one kind one by one, as CSV or as JSON, an object a line.
type RowWriter struct {
	columns []csvColumn
	table   *csv.Writer // nil for JSON
	lines   *bufio.Writer
}

// NewRowWriter returns a RowWriter. Of CSV it has written the head.
func NewRowWriter(w io.Writer, by By, p store.Period, asJSON bool) *RowWriter {
	if asJSON {
		return &RowWriter{lines: bufio.NewWriter(w)}
	}
	out := &RowWriter{columns: csvColumns(by, p), table: csv.NewWriter(w)}
	heads := make([]string, len(out.columns))
	for i, c := range out.columns {
		heads[i] = c.head
	}
	_ = out.table.Write(heads) // Flush returns the error
	return out
}

// Write writes a row.
func (w *RowWriter) Write(row *Row) error {
	if w.table == nil {
		return encode(w.lines, row)
	}
	values := make([]string, len(w.columns))
	for i, c := range w.columns {
		values[i] = c.value(row)
	}
	return w.table.Write(values)
}

// Flush writes what is left.
func (w *RowWriter) Flush() error {
	if w.table == nil {
		return w.lines.Flush()
	}
	w.table.Flush()
	return w.table.Error()
}

// csvColumn is a column of a table of rows.
type csvColumn struct {
	head  string
	value func(*Row) string
}

// Cell returns a text as a cell of CSV that no spreadsheet takes for a formula, in one line:
// such a cell begins with an apostrophe, which Uncell removes.
func Cell(s string) string {
	s = text.Clean(s)
	if s != "" && strings.ContainsRune("=+-@'\uff1d\uff0b\uff0d\uff20", []rune(s)[0]) {
		return "'" + s
	}
	return s
}

// Uncell returns the text that Cell has made a cell of.
func Uncell(s string) string {
	if rest, quoted := strings.CutPrefix(s, "'"); quoted && Cell(rest) == s {
		return rest
	}
	return s
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// moment formats a time for programs; "" is none.
func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.Format(time.RFC3339)
}

func flagged(b *bool) string { return strconv.FormatBool(b != nil && *b) }

// csvColumns are the columns of a kind of rows.
func csvColumns(by By, p store.Period) (all []csvColumn) {
	if p != store.Whole {
		all = append(all, csvColumn{"start", func(r *Row) string { return moment(r.Start) }})
	}
	device := []csvColumn{
		{"device", func(r *Row) string { return Cell(r.Device) }},
		{"name", func(r *Row) string { return Cell(r.Name) }},
	}
	port := []csvColumn{
		{"protocol", func(r *Row) string { return Cell(r.Protocol) }},
		{"port", func(r *Row) string { return strconv.Itoa(int(r.Port)) }},
	}
	switch by {
	case Device:
		all = append(append(all, device...), trafficColumns()...)
	case Destination:
		all = append(append(all, device...),
			csvColumn{"remote", func(r *Row) string { return Cell(*r.Address) }})
		all = append(append(all, port...),
			csvColumn{"inbound", func(r *Row) string { return flagged(r.Inbound) }},
			csvColumn{"new", func(r *Row) string { return flagged(r.New) }})
		all = append(append(all, trafficColumns()...), contactColumns()...)
	case Port:
		all = append(append(append(all, port...), trafficColumns()...), contactColumns()...)
	case Service:
		all = append(all, csvColumn{"service", func(r *Row) string { return Cell(r.Service) }})
		all = append(all, trafficColumns()[:4]...)
	case Exporter:
		all = append(all, exporterColumns()...)
	case Total:
		all = append(all, trafficColumns()...)
	}
	return all
}

func trafficColumns() []csvColumn {
	return []csvColumn{
		{"up_bytes", func(r *Row) string { return number(r.Traffic.UpBytes) }},
		{"down_bytes", func(r *Row) string { return number(r.Traffic.DownBytes) }},
		{"up_packets", func(r *Row) string { return number(r.Traffic.UpPackets) }},
		{"down_packets", func(r *Row) string { return number(r.Traffic.DownPackets) }},
		{"lan_up_bytes", func(r *Row) string { return number(r.Local.UpBytes) }},
		{"lan_down_bytes", func(r *Row) string { return number(r.Local.DownBytes) }},
		{"lan_up_packets", func(r *Row) string { return number(r.Local.UpPackets) }},
		{"lan_down_packets", func(r *Row) string { return number(r.Local.DownPackets) }},
	}
}

func contactColumns() []csvColumn {
	return []csvColumn{
		{"connections", func(r *Row) string { return number(r.Connections) }},
		{"first_seen", func(r *Row) string { return moment(r.FirstSeen) }},
		{"last_seen", func(r *Row) string { return moment(r.LastSeen) }},
		{"mean_interval_seconds", func(r *Row) string {
			if r.MeanInterval == nil {
				return ""
			}
			return strconv.FormatFloat(*r.MeanInterval, 'f', 3, 64)
		}},
	}
}

func exporterColumns() []csvColumn {
	return []csvColumn{
		{"exporter", func(r *Row) string { return Cell(r.Exporter) }},
		{"version", func(r *Row) string { return strconv.Itoa(int(r.Version)) }},
		{"domain", func(r *Row) string { return number(uint64(r.Domain)) }},
		{"datagrams", func(r *Row) string { return number(r.Datagrams) }},
		{"records", func(r *Row) string { return number(r.Records) }},
		{"bytes", func(r *Row) string { return number(r.Bytes) }},
		{"missing_records", func(r *Row) string { return number(r.MissingRecords) }},
		{"missing_datagrams", func(r *Row) string { return number(r.MissingDatagrams) }},
		{"unknown_sets", func(r *Row) string { return number(r.UnknownSets) }},
		{"malformed_datagrams", func(r *Row) string { return number(r.Refused) }},
	}
}

// CSV writes the rows, with the keys of JSON as heads.
func (q *Quotas) CSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"name", "quota_bytes", "used_bytes", "expected_bytes", "exceeded"})
	for i := range q.Rows {
		row, expected := &q.Rows[i], ""
		if row.Expected != nil {
			expected = number(*row.Expected)
		}
		_ = out.Write([]string{Cell(row.Name), number(row.Quota), number(row.Used), expected,
			strconv.FormatBool(row.Exceeded)})
	}
	out.Flush()
	return out.Error()
}
