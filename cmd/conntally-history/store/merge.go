package store

import (
	"fmt"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// merge gives all that m.From moved to m.Into; From is no more.
func (w *writer) merge(m usage.Merge) {
	from, ok := w.number("SELECT id FROM device WHERE device = ?", clip(m.From))
	if !ok || clip(m.From) == clip(m.Into) {
		return
	}
	delete(w.devices, clip(m.From))
	into, ok := w.number("SELECT id FROM device WHERE device = ?", clip(m.Into))
	if !ok {
		w.exec("UPDATE device SET device = ? WHERE id = ?", clip(m.Into), from)
		return
	}
	w.exec(fmt.Sprintf(`INSERT INTO counted (id, %s, i)
		SELECT id - device + ?1, %s, (last - hour) / 60 FROM device_hour
		WHERE device = ?2 ON CONFLICT DO UPDATE SET %s, i = max(counted.i, excluded.i)`,
		list(devices().counted(), "%"), list(devices().columns, "%"),
		added("counted", devices().counted())), into, from)
	w.exec("DELETE FROM counted WHERE id IN (SELECT id FROM device_hour WHERE device = ?)", from)
	columns := devices().columns
	for _, period := range []string{"day", "month"} {
		table := "device_" + period
		w.exec(fmt.Sprintf(`INSERT INTO %[1]s (%[2]s, device, %[3]s) SELECT %[2]s, ?1, %[3]s
			FROM %[1]s WHERE device = ?2 ON CONFLICT DO UPDATE SET %[4]s`, table, period,
			list(columns, "%"), added(table, columns)), into, from)
		w.exec("DELETE FROM "+table+" WHERE device = ?", from)
	}
	w.exec("UPDATE destination SET device = ? WHERE device = ?", into, from)
	w.mergeDestinations(into, from)
	w.exec(`UPDATE device SET
		first = (SELECT coalesce(min(nullif(first, 0)), 0) FROM device WHERE id IN (?1, ?2)),
		last = (SELECT max(last) FROM device WHERE id IN (?1, ?2)),
		name = CASE WHEN name = '' THEN (SELECT name FROM device WHERE id = ?2) ELSE name END
		WHERE id = ?1`, into, from)
	w.exec("DELETE FROM device WHERE id = ?", from)
}

func (w *writer) mergeDestinations(into, from int64) {
	columns := destinationColumns()
	w.exec(fmt.Sprintf(`INSERT INTO destination_day (%s, %s, first, last)
		SELECT day, ?1, remote, protocol, port, inbound, %s, first, last
		FROM destination_day WHERE device = ?2 ON CONFLICT DO UPDATE SET %s,
		first = min(destination_day.first, excluded.first),
		last = max(destination_day.last, excluded.last)`, destinationKey,
		list(columns, "%"), list(columns, "%"), added("destination_day", columns)), into, from)
	w.exec("DELETE FROM destination_day WHERE device = ?", from)
}
