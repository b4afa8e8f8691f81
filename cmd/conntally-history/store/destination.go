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
	id    int64 // 0: it isn't written yet
	first int64 // when it was first seen on the day, in seconds since 1970
}

// destinationPart is what a batch adds to a row.
type destinationPart struct {
	values      [6]uint64 // of the columns from up_bytes to down_contacts
	first, last int64     // in seconds since 1970; 0: unknown
}

// destinations appends one part to each row that the batch adds to. All that found no row of its
// own is one part, or a device that scans addresses would fill the file before its day is over.
func (w *writer) destinations(all map[usage.Destination]usage.DestinationUsage) {
	if len(all) == 0 {
		return
	}
	open := w.openDestinations()
	parts := map[destinationID]*destinationPart{}
	add := func(d usage.Destination, c usage.Counters, u *usage.DestinationUsage, lan bool) {
		key := open.row(w.destinationID(d, lan), manyDestinations*w.options.DestinationsPerDevice)
		if parts[key] == nil {
			parts[key] = &destinationPart{}
		}
		parts[key].add(c, u)
	}
	for d, u := range all {
		if (u.WAN != usage.Counters{} || u.LAN == usage.Counters{}) {
			add(d, u.WAN, &u, false)
			u.UpContacts, u.DownContacts = 0, 0
		}
		if (u.LAN != usage.Counters{}) {
			add(d, u.LAN, &u, true)
		}
	}
	for key, p := range parts {
		w.destinationPart(open.rows[key], key, p)
	}
}

// destinationID returns the row of a destination on one side of the uplink.
func (w *writer) destinationID(d usage.Destination, lan bool) destinationID {
	key := destinationID{day: int64(d.Day), device: w.deviceID(d.Device),
		protocol: int64(d.Protocol), port: int64(d.Port), inbound: d.Inbound, lan: lan}
	if d.Remote.IsValid() {
		key.remote = d.Remote.String()
	}
	return key
}

// add adds what moved on one side of the uplink, up to the largest value of a column.
func (p *destinationPart) add(c usage.Counters, u *usage.DestinationUsage) {
	for i, n := range [len(p.values)]uint64{c.UpBytes, c.DownBytes, c.UpPackets, c.DownPackets,
		u.UpContacts, u.DownContacts} {
		p.values[i] = min(p.values[i]+min(n, largest), largest)
	}
	if first := unix(u.First); p.first == 0 || first != 0 && first < p.first {
		p.first = first
	}
	p.last = max(p.last, unix(u.Last))
}

// destinationPart appends a part to a row, which it writes first if that is new.
func (w *writer) destinationPart(row openDestination, key destinationID, p *destinationPart) {
	switch {
	case row.id == 0:
		row.id, _ = w.number(`INSERT INTO destination (`+destinationKey+`, lan, first)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, key.day, key.device, key.remote,
			key.protocol, key.port, key.inbound, key.lan, p.first)
	case p.first < row.first:
		w.exec("UPDATE destination SET first = ? WHERE id = ?", p.first, row.id)
	}
	values := slices.Concat([]any{row.id}, capped(p.values[:]...), []any{p.last})
	w.exec("INSERT INTO destination_part VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values...)
}

// openDestinations are the destinations of days that are not over, and how many rows there are
// of each day and device.
type openDestinations struct {
	rows  map[destinationID]openDestination
	count map[[2]int64]int
}

// row returns the row that a destination belongs to: its own, or that of the rest of its device
// and day where there are so many already. It adds the row if that is new.
func (o *openDestinations) row(key destinationID, most int) destinationID {
	of := [2]int64{key.day, key.device}
	_, known := o.rows[key]
	if !known && o.count[of] >= most {
		key = destinationID{day: key.day, device: key.device, lan: key.lan}
		_, known = o.rows[key]
	}
	if !known {
		o.rows[key] = openDestination{}
		o.count[of]++
	}
	return key
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
