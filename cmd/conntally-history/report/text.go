package report

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/text"
)

// Page is where text is printed.
type Page struct {
	Out     io.Writer
	Columns int // of the terminal; 0 is none: lines are as long as they are, without bars
}

// barWidth is the width of a bar in columns.
const barWidth = 16

// bar returns a bar whose length is n of most.
func bar(n, most uint64, columns int) string {
	if n == 0 || most == 0 {
		return ""
	}
	eighths := max(1, int(float64(n)/float64(most)*float64(columns*8)+0.5))
	whole := min(eighths/8, columns)
	line := strings.Repeat("█", whole)
	if rest := eighths % 8; whole < columns && rest > 0 {
		line += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return line
}

// cell is a column of a report: its head, and the value of a row.
type cell struct {
	text.Column
	value func(*Row) string
}

// Text prints a table, its sum, and what is missing from it.
func (r *Report) Text(p Page) error {
	_ = p.print(r.title(), "")
	if len(r.Rows) == 0 {
		fmt.Fprintln(p.Out, "nothing")
	} else if err := r.table(p.Columns > 0).Print(p.Out, p.Columns); err != nil {
		return err
	}
	fmt.Fprintln(p.Out)
	return p.print(append(r.notes(), r.Lines()...)...)
}

// print prints lines, broken where the terminal's are shorter.
func (p Page) print(lines ...string) (err error) {
	for _, line := range lines {
		parts := []string{text.Clean(line)}
		if p.Columns > 0 {
			parts = text.Wrap(line, max(p.Columns, 20))
		}
		for _, part := range parts {
			_, err = fmt.Fprintln(p.Out, part)
		}
	}
	return err
}

// title says what the report is about.
func (r *Report) title() string {
	what := "By " + r.By
	if r.query.By == Total {
		what = "All devices"
	}
	if name := (Period{r.query.Period}).String(); name != "" {
		what += " and " + name
	}
	if r.query.Device != "" {
		what += " of " + text.Clean(r.query.Device)
	}
	if r.query.New {
		what += ", new ones"
	}
	switch {
	case r.query.By == Service || r.query.By == Exporter:
	case r.query.Scope == WAN:
		what += ", through an uplink"
	case r.query.Scope == LAN:
		what += ", inside the LAN"
	}
	return what + ", " + span(r.From, r.To)
}

// span formats a span of time; days as the first and the last.
func span(from, to time.Time) string {
	last := to.Add(-time.Second)
	if !isMidnight(from) || !isMidnight(to) {
		return from.Format("2006-01-02 15:04") + " to " + to.Format("2006-01-02 15:04")
	}
	if from.Format(time.DateOnly) == last.Format(time.DateOnly) {
		return from.Format(time.DateOnly)
	}
	return from.Format(time.DateOnly) + " to " + last.Format(time.DateOnly)
}

func isMidnight(t time.Time) bool {
	h, m, s := t.Clock()
	return h == 0 && m == 0 && s == 0
}

func (r *Report) table(bars bool) *text.Table {
	cells := r.cells()
	if bars && len(r.Rows) > 1 && r.query.By != Destination {
		most := uint64(0)
		for i := range r.Rows {
			most = max(most, r.Rows[i].size(r.scope()))
		}
		cells = append(cells, cell{
			text.Column{Least: barWidth, Optional: 1},
			func(row *Row) string { return bar(row.size(r.scope()), most, barWidth) },
		})
	}
	t := &text.Table{}
	for _, c := range cells {
		t.Columns = append(t.Columns, c.Column)
	}
	for i := range r.Rows {
		values := make([]string, len(cells))
		for j, c := range cells {
			values[j] = c.value(&r.Rows[i])
		}
		t.Add(values...)
	}
	return t
}

// cells are the columns of the table.
func (r *Report) cells() (all []cell) {
	if r.query.Period != store.Whole {
		layout := map[store.Period]string{
			store.ByHour: "2006-01-02 15:04", store.ByDay: time.DateOnly, store.ByMonth: "2006-01",
		}[r.query.Period]
		head := strings.ToUpper(Period{r.query.Period}.String())
		all = append(all, cell{text.Column{Head: head},
			func(row *Row) string { return row.Start.Format(layout) }})
	}
	switch r.query.By {
	case Device:
		all = append(all, deviceCell())
	case Destination:
		if r.query.Device == "" {
			all = append(all, deviceCell())
		}
		all = append(all, destinationCells()...)
	case Port:
		all = append(all, cell{text.Column{Head: "PORT"}, portName})
	case Service:
		all = append(all, cell{text.Column{Head: "SERVICE", Flexible: true},
			func(row *Row) string { return row.Service }})
	case Exporter:
		return append(all, exporterCells()...)
	}
	all = append(all, r.sizeCells()...)
	switch r.query.By {
	case Destination:
		all = append(all, contactCells()...)
	case Port:
		all = append(all, connectionsCell())
	}
	return all
}

func deviceCell() cell {
	return cell{text.Column{Head: "DEVICE", Flexible: true},
		func(row *Row) string { return row.Label() }}
}

func (r *Report) sizeCells() []cell {
	size := func(head string, optional int, of func(usage.Counters) uint64) cell {
		return cell{text.Column{Head: head, Right: true, Least: 8, Optional: optional},
			func(row *Row) string { return text.Bytes(of(r.scope().of(row.usage()))) }}
	}
	cells := []cell{
		size("UP", 0, func(c usage.Counters) uint64 { return c.UpBytes }),
		size("DOWN", 0, func(c usage.Counters) uint64 { return c.DownBytes }),
	}
	if r.query.By == Destination {
		return cells
	}
	return append(cells,
		size("TOTAL", 2, func(c usage.Counters) uint64 { return c.UpBytes + c.DownBytes }))
}

func destinationCells() []cell {
	return []cell{
		{text.Column{}, func(row *Row) string {
			if row.Inbound != nil && *row.Inbound {
				return "<" // the remote opened the connection
			}
			return ">"
		}},
		{text.Column{Head: "DESTINATION", Flexible: true, Comfort: 24, Middle: true}, endpoint},
	}
}

// endpoint returns a destination: protocol, address and port.
func endpoint(row *Row) string {
	switch {
	case *row.Address == "":
		return "(all smaller ones)"
	case row.Port == 0:
		return row.Protocol + " " + *row.Address
	}
	return row.Protocol + " " + net.JoinHostPort(*row.Address, strconv.Itoa(int(row.Port)))
}

func portName(row *Row) string {
	switch {
	case row.Protocol == "":
		return "(all smaller destinations)"
	case row.Port == 0:
		return row.Protocol
	}
	return row.Protocol + "/" + strconv.Itoa(int(row.Port))
}

func connectionsCell() cell {
	return cell{text.Column{Head: "CONN", Right: true, Optional: 2}, func(row *Row) string {
		return strconv.FormatUint(row.Connections, 10)
	}}
}

func contactCells() []cell {
	moment := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.Format("01-02 15:04")
	}
	return []cell{
		connectionsCell(),
		{text.Column{Head: "EVERY", Right: true, Optional: 1}, func(row *Row) string {
			if row.MeanInterval == nil {
				return "-"
			}
			return text.Duration(time.Duration(*row.MeanInterval * float64(time.Second)))
		}},
		{text.Column{Head: "LAST", Optional: 4},
			func(row *Row) string { return moment(row.LastSeen) }},
		{text.Column{Head: "FIRST", Optional: 5},
			func(row *Row) string { return moment(row.FirstSeen) }},
		{text.Column{Head: "NEW", Optional: 3}, func(row *Row) string {
			if row.New != nil && *row.New {
				return "new"
			}
			return ""
		}},
	}
}

func exporterCells() []cell {
	number := func(head string, optional int, of func(*Row) uint64) cell {
		return cell{text.Column{Head: head, Right: true, Optional: optional},
			func(row *Row) string { return strconv.FormatUint(of(row), 10) }}
	}
	return []cell{
		{text.Column{Head: "EXPORTER", Flexible: true, Middle: true}, func(row *Row) string {
			return row.Exporter
		}},
		{text.Column{Head: "PROTOCOL"}, func(row *Row) string { return version(row.Stream) }},
		{text.Column{Head: "BYTES", Right: true, Least: 8}, func(row *Row) string {
			return text.Bytes(row.Bytes)
		}},
		number("RECORDS", 0, func(row *Row) uint64 { return row.Records }),
		number("MISSING", 0, func(row *Row) uint64 {
			return row.MissingRecords + row.MissingDatagrams
		}),
		number("UNKNOWN", 3, func(row *Row) uint64 { return row.UnknownSets }),
		number("MALFORMED", 4, func(row *Row) uint64 { return row.Refused }),
		number("DOMAIN", 5, func(row *Row) uint64 { return uint64(row.Domain) }),
	}
}

func version(s *Stream) string {
	switch s.Version {
	case 9:
		return "netflow9"
	case 10:
		return "ipfix"
	}
	return strconv.Itoa(int(s.Version))
}

// notes are what the table doesn't show: sums, what is left out, the estimate.
func (r *Report) notes() (lines []string) {
	if r.query.By == Exporter {
		return nil
	}
	if r.query.By == Service && len(r.Rows) == 0 {
		return []string{r.noServices()}
	}
	c := r.scope().of(r.sum)
	if len(r.Rows) > 1 || r.Omitted > 0 {
		lines = append(lines, fmt.Sprintf("Sum: %s up, %s down.", text.Bytes(c.UpBytes),
			text.Bytes(c.DownBytes)))
	}
	if r.Omitted > 0 {
		rest := r.scope().of(r.rest)
		lines = append(lines, fmt.Sprintf(
			"%d smaller rows are not shown (%s up, %s down); see --limit.", r.Omitted,
			text.Bytes(rest.UpBytes), text.Bytes(rest.DownBytes)))
	}
	if line := r.otherScope(); line != "" {
		lines = append(lines, line)
	}
	if r.lacksLatest() {
		lines = append(lines,
			"Destinations and ports are written once an hour: the latest may be missing.")
	}
	if e := r.Estimate; e != nil {
		lines = append(lines, fmt.Sprintf(
			"Expected by %s: %s up and %s down (at the rate since %s).",
			stamp(r.To), text.Bytes(e.UpBytes), text.Bytes(e.DownBytes), stamp(e.Since)))
	}
	return lines
}

// noServices says why there may be no service in the report.
func (r *Report) noServices() string {
	if !r.query.Services {
		return "Services are not counted: set enable = true in [services], and IPAccounting=yes in " +
			"each unit that is to be counted."
	}
	return "No unit with IPAccounting=yes moved anything in this time; conntally-history check " +
		"names the active ones."
}

// lacksLatest reports whether the report is about something that is written less often than the
// rest, and about the time of the latest flush.
func (r *Report) lacksLatest() bool {
	return (r.query.By == Destination || r.query.By == Port) && r.Flushed != nil &&
		r.Flushed.Before(r.To)
}

// otherScope says what moved in the scope that the columns leave out.
func (r *Report) otherScope() string {
	l, w := LAN.of(r.sum), WAN.of(r.sum)
	switch {
	case r.query.By == Service:
		return ""
	case r.query.Scope == WAN && l.UpBytes+l.DownBytes > 0:
		return fmt.Sprintf("Inside the LAN, not in these columns: %s up, %s down; see --scope.",
			text.Bytes(l.UpBytes), text.Bytes(l.DownBytes))
	case r.query.Scope == LAN && w.UpBytes+w.DownBytes > 0:
		return fmt.Sprintf("Through an uplink, not in these columns: %s up, %s down; see --scope.",
			text.Bytes(w.UpBytes), text.Bytes(w.DownBytes))
	}
	return ""
}
