package store

import (
	"fmt"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Destinations are appended in parts while their day lasts: changing their rows in place would
// write nearly every page of the day each hour. foldDestinations makes one row of them.

// destinationID identifies a row of the table destination.
type destinationID struct {
	day, device    int64
	remote         string
	protocol, port int64
	inbound        bool
}

// manyDestinations is how many times as many destinations as are kept in the end a device may
// have in one day before the day is over. The rest goes to "all others" at once.
const manyDestinations = 10

func (w *writer) destinations(all map[usage.Destination]usage.DestinationUsage) {
	if len(all) == 0 {
		return
	}
	ids, count := w.openDestinations()
	insert := fmt.Sprintf("INSERT INTO destination_part (destination, %s, first, last) VALUES (%s)",
		list(destinationColumns(), "%"), placeholders(3+len(destinationColumns())))
	for d, u := range all {
		key := destinationID{day: int64(d.Day), device: w.deviceID(d.Device),
			protocol: int64(d.Protocol), port: int64(d.Port), inbound: d.Inbound}
		if d.Remote.IsValid() {
			key.remote = d.Remote.String()
		}
		of := [2]int64{key.day, key.device}
		_, known := ids[key]
		if !known && count[of] >= manyDestinations*w.options.DestinationsPerDevice {
			key = destinationID{day: key.day, device: key.device}
			_, known = ids[key]
		}
		if !known {
			count[of]++
			ids[key], _ = w.number(`INSERT INTO destination
				(day, device, remote, protocol, port, inbound) VALUES (?, ?, ?, ?, ?, ?)
				RETURNING id`, key.day, key.device, key.remote, key.protocol, key.port, key.inbound)
		}
		values := append([]any{ids[key]}, usageValues(u.Usage)...)
		values = append(values, capped(u.UpContacts, u.DownContacts)...)
		w.exec(insert, append(values, unix(u.First), unix(u.Last))...)
	}
}

// openDestinations returns the destinations of days that are not over, and how many there are
// of each day and device.
func (w *writer) openDestinations() (map[destinationID]int64, map[[2]int64]int) {
	ids, count := map[destinationID]int64{}, map[[2]int64]int{}
	if w.err != nil {
		return ids, count
	}
	w.err = query(w.ctx, w.tx, func(scan scanner) error {
		var k destinationID
		var id int64
		err := scan(&id, &k.day, &k.device, &k.remote, &k.protocol, &k.port, &k.inbound)
		ids[k] = id
		count[[2]int64{k.day, k.device}]++
		return err
	}, "SELECT id, "+destinationKey+" FROM destination")
	return ids, count
}

// foldDestinations makes one row of what a destination moved in a day before today, and of
// each device and day keeps the largest. Sums stay what they are.
func (w *writer) foldDestinations(day int64) {
	columns := destinationColumns()
	w.exec("DROP TABLE IF EXISTS temp.folded")
	w.exec(fmt.Sprintf(`CREATE TEMP TABLE folded AS
		SELECT %s, %s, min(first) AS first, max(last) AS last FROM (
			SELECT day, device, CASE WHEN keep THEN remote ELSE '' END AS remote,
				iif(keep, protocol, 0) AS protocol, iif(keep, port, 0) AS port,
				iif(keep, inbound, 0) AS inbound, %s, first, last
			FROM (
				SELECT *, remote <> '' AND row_number() OVER (
					PARTITION BY device ORDER BY remote = '', up_bytes + down_bytes + lan_up_bytes +
					lan_down_bytes DESC, remote, port, protocol, inbound) <= ?1 AS keep
				FROM (
					SELECT %s, %s, min(first) AS first, max(last) AS last
					FROM destination_rows WHERE day = ?2 GROUP BY %s
				)
			)
		) GROUP BY %s`, destinationKey, sums(columns), list(columns, "%"), destinationKey,
		sums(columns), destinationKey, destinationKey),
		w.options.DestinationsPerDevice, day)
	w.exec("DELETE FROM destination_day WHERE day = ?", day)
	w.exec(fmt.Sprintf(`INSERT INTO destination_day (%s, %s, first, last)
		SELECT %s, %s, first, last FROM temp.folded ORDER BY %s`, destinationKey,
		list(columns, "%"), destinationKey, list(columns, "%"), destinationKey))
	w.exec(`DELETE FROM destination_part WHERE destination IN
		(SELECT id FROM destination WHERE day = ?)`, day)
	w.exec("DELETE FROM destination WHERE day = ?", day)
	w.exec("DROP TABLE temp.folded")
}
