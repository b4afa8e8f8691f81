package store

import (
	"fmt"
	"slices"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Destinations are appended in parts while their day lasts: changing their rows in place would
// write nearly every page of the day each hour. foldDestinations makes one row of them.

// destinationID identifies a row of the table destination.
type destinationID struct {
	day, device    int64
	remote         string
	protocol, port int64
	inbound, lan   bool
}

// manyDestinations is how many times as many destinations as are kept in the end a device may
// have in one day before the day is over. The rest goes to "all others" at once.
const manyDestinations = 10

// openDestination is a row of the table destination.
type openDestination struct {
	id    int64
	first int64 // when it was first seen on the day, in seconds since 1970
}

func (w *writer) destinations(all map[usage.Destination]usage.DestinationUsage) {
	if len(all) == 0 {
		return
	}
	open := w.openDestinations()
	for d, u := range all {
		if (u.WAN != usage.Counters{} || u.LAN == usage.Counters{}) {
			w.destinationPart(open, d, u.WAN, &u, false)
			u.UpContacts, u.DownContacts = 0, 0
		}
		if (u.LAN != usage.Counters{}) {
			w.destinationPart(open, d, u.LAN, &u, true)
		}
	}
}

// destinationPart appends what moved on one side of the uplink.
func (w *writer) destinationPart(open *openDestinations, d usage.Destination, c usage.Counters,
	u *usage.DestinationUsage, lan bool) {
	key := destinationID{day: int64(d.Day), device: w.deviceID(d.Device),
		protocol: int64(d.Protocol), port: int64(d.Port), inbound: d.Inbound, lan: lan}
	if d.Remote.IsValid() {
		key.remote = d.Remote.String()
	}
	of := [2]int64{key.day, key.device}
	row, known := open.rows[key]
	if !known && open.count[of] >= manyDestinations*w.options.DestinationsPerDevice {
		key = destinationID{day: key.day, device: key.device, lan: lan}
		row, known = open.rows[key]
	}
	first := unix(u.First)
	switch {
	case !known:
		row.first = first
		row.id, _ = w.number(`INSERT INTO destination (`+destinationKey+`, lan, first)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, key.day, key.device, key.remote,
			key.protocol, key.port, key.inbound, lan, first)
		open.count[of]++
	case first < row.first:
		row.first = first
		w.exec("UPDATE destination SET first = ? WHERE id = ?", first, row.id)
	}
	open.rows[key] = row
	values := slices.Concat([]any{row.id}, counterValues(c), capped(u.UpContacts, u.DownContacts))
	w.exec("INSERT INTO destination_part VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		append(values, unix(u.Last))...)
}

// openDestinations are the destinations of days that are not over, and how many rows there are
// of each day and device.
type openDestinations struct {
	rows  map[destinationID]openDestination
	count map[[2]int64]int
}

func (w *writer) openDestinations() *openDestinations {
	open := &openDestinations{map[destinationID]openDestination{}, map[[2]int64]int{}}
	if w.err != nil {
		return open
	}
	w.err = query(w.ctx, w.tx, func(scan scanner) error {
		var k destinationID
		var row openDestination
		err := scan(&row.id, &k.day, &k.device, &k.remote, &k.protocol, &k.port, &k.inbound,
			&k.lan, &row.first)
		open.rows[k] = row
		open.count[[2]int64{k.day, k.device}]++
		return err
	}, "SELECT id, "+destinationKey+", lan, first FROM destination")
	return open
}

// foldDestinations makes one row of what a destination moved in a day before today, and of
// each device and day keeps the largest. Sums stay what they are.
//
// Rows that stay are copied and all others deleted at once: SQLite writes none of the pages of a
// table that is emptied, but all of those that lose their rows one by one.
func (w *writer) foldDestinations(today usage.Day) {
	days := w.numbers("SELECT DISTINCT day FROM destination WHERE day < ? ORDER BY day", int64(today))
	if len(days) == 0 {
		return
	}
	w.exec("CREATE TEMP TABLE folded AS SELECT * FROM destination_day WHERE false")
	for _, day := range days {
		w.foldDay(day)
	}
	w.exec(`CREATE TEMP TABLE open AS SELECT * FROM destination WHERE day >= ?`, int64(today))
	w.exec(`CREATE TEMP TABLE open_part AS SELECT * FROM destination_part
		WHERE destination IN (SELECT id FROM temp.open)`)
	w.exec("DELETE FROM destination")
	w.exec("DELETE FROM destination_part")
	w.exec("INSERT INTO destination SELECT * FROM temp.open")
	w.exec("INSERT INTO destination_part SELECT * FROM temp.open_part")
	w.exec(`INSERT INTO destination_day SELECT * FROM temp.folded
		ORDER BY ` + destinationKey)
	for _, table := range []string{"folded", "open", "open_part"} {
		w.exec("DROP TABLE temp." + table)
	}
}

// foldDay adds the rows of a day to temp.folded.
func (w *writer) foldDay(day int64) {
	columns := destinationColumns()
	w.exec(fmt.Sprintf(`INSERT INTO temp.folded (%[1]s, %[2]s, first, last)
		SELECT %[1]s, %[3]s, min(first) AS first, max(last) AS last FROM (
			SELECT day, device, iif(keep, remote, '') AS remote, iif(keep, protocol, 0) AS protocol,
				iif(keep, port, 0) AS port, iif(keep, inbound, 0) AS inbound, %[2]s, first, last
			FROM (
				SELECT *, remote <> '' AND row_number() OVER (PARTITION BY device
					ORDER BY remote = '', %[4]s DESC, remote, port, protocol, inbound) <= ?1 AS keep
				FROM (
					SELECT %[1]s, %[3]s, min(first) AS first, max(last) AS last
					FROM destination_rows WHERE day = ?2 GROUP BY %[1]s
				)
			)
		) GROUP BY %[1]s`, destinationKey, list(columns, "%"), sums(columns), destinationSize),
		w.options.DestinationsPerDevice, day)
	w.exec("DELETE FROM destination_day WHERE day = ?", day)
}
