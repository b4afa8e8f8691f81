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
	for _, period := range []string{"hour", "day", "month"} {
		w.mergeRows("device_"+period, period, "device", devices().columns, into, from)
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

func (w *writer) mergeRows(table, period, key string, columns []string, into, from int64) {
	w.exec(fmt.Sprintf(`INSERT INTO %s (%s, %s, %s) SELECT %s, ?1, %s FROM %s
		WHERE %s = ?2 ON CONFLICT DO UPDATE SET %s`, table, period, key, list(columns, "%"),
		period, list(columns, "%"), table, key, added(table, columns)), into, from)
	w.exec(fmt.Sprintf("DELETE FROM %s WHERE %s = ?", table, key), from)
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
