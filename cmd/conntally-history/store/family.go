package store

import (
	"fmt"
	"strings"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// family describes what has the same columns by hour, day and month: the view name_hour of the
// table counted, and the tables name_day and name_month.
type family struct {
	name    string // of the tables and of the column that refers to the table name
	columns []string
	kind    int64 // of the rows of the table counted
}

// counted returns the columns of the table counted that the family's stand in.
func (f family) counted() []string {
	return []string{"a", "b", "c", "d", "e", "f", "g", "h"}[:len(f.columns)]
}

// idBits is how many bits of the id of a row of the table counted are the ID of what is counted.
const idBits = 20

// id is the id of a row of the table counted.
func (f family) id(h usage.Hour, of int64) int64 {
	return int64(h)/900<<(idBits+2) | f.kind<<idBits | of
}

func traffic() []string {
	return []string{"up_bytes", "down_bytes", "up_packets", "down_packets"}
}

// devices, services and exporters are the families; their columns are in the order of the
// fields of usage.Usage, usage.Counters and usage.Intake.
func devices() family {
	columns := traffic()
	for _, c := range traffic() {
		columns = append(columns, "lan_"+c)
	}
	return family{"device", columns, 0}
}

func services() family { return family{"service", traffic(), 2} }

func exporters() family {
	return family{"exporter", []string{"datagrams", "records", "bytes", "missing_records",
		"missing_datagrams", "unknown_sets", "refused"}, 1}
}

func families() []family { return []family{devices(), services(), exporters()} }

// destinationColumns are what is added up of a destination.
func destinationColumns() []string {
	return append(devices().columns, "up_contacts", "down_contacts")
}

const destinationKey = "day, device, remote, protocol, port, inbound"

// largest is the largest value of a column: what others claim to have counted must not overflow
// SQLite's integers when it is added up.
const largest = 1 << 53

// list returns columns for SQL, each in the form of format.
func list(columns []string, format string) string {
	all := make([]string, len(columns))
	for i, c := range columns {
		all[i] = strings.ReplaceAll(format, "%", c)
	}
	return strings.Join(all, ", ")
}

// sums adds columns up. total can't overflow, and is exact up to 2^53.
func sums(columns []string) string { return list(columns, "CAST(total(%) AS INTEGER) AS %") }

// added adds a row to the row that is there already, after ON CONFLICT DO UPDATE SET.
func added(table string, columns []string) string {
	return list(columns, fmt.Sprintf("%% = min(%s.%% + excluded.%%, %d)", table, int64(largest)))
}

// placeholders returns n of them.
func placeholders(n int) string { return strings.TrimSuffix(strings.Repeat("?, ", n), ", ") }

// monthOf is the month of a day in SQL.
func monthOf(day string) string {
	return "CAST(strftime('%Y', " + day + " * 86400, 'unixepoch') AS INTEGER) * 12 + " +
		"CAST(strftime('%m', " + day + " * 86400, 'unixepoch') AS INTEGER) - 1"
}
