package store

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// rowID is the ID of a row of the table device, exporter or service.
type rowID struct {
	id  int64
	own bool // false: it is that of the row for all that find no ID
}

// deviceID returns the ID of a device, or that of usage.Other where no ID is left for it.
func (w *writer) deviceID(device string) int64 {
	id, _ := w.ownDeviceID(device)
	return id
}

func (w *writer) ownDeviceID(device string) (id int64, own bool) {
	device = clip(device)
	r, ok := w.devices[device]
	if !ok {
		r = w.id("device", "device", []any{device}, []any{usage.Other})
		w.devices[device] = r
	}
	return r.id, r.own
}

func (w *writer) serviceID(unit string) int64 {
	return w.id("service", "unit", []any{clip(unit)}, []any{usage.Other}).id
}

func (w *writer) exporterID(e usage.Exporter) (id int64, own bool) {
	key := func(e usage.Exporter) []any { return []any{e.Address.String(), e.Version, e.Domain} }
	rest := usage.Exporter{Address: netip.IPv4Unspecified()} // as collect's
	r := w.id("exporter", "address, version, domain", key(e), key(rest))
	return r.id, r.own
}

// id returns the ID of the row of table whose key is given; where there is none, it makes one,
// and where no ID is left, it returns that of the row whose key is rest.
func (w *writer) id(table, columns string, key, rest []any) rowID {
	names := strings.Split(columns, ", ")
	find := "SELECT id FROM " + table + " WHERE " + strings.Join(names, " = ? AND ") + " = ?"
	id, found := w.number(find, key...)
	if found && id <= w.lastID || w.err != nil {
		return rowID{id, true}
	}
	own := false
	if !found {
		id, own = w.freeID(table)
	}
	if !own {
		if id, found = w.number(find, rest...); found || w.err != nil {
			return rowID{id, false}
		}
		key, id = rest, w.lastID // which freeID never returns
	}
	w.exec(fmt.Sprintf("INSERT INTO %s (id, %s) VALUES (%s)", table, columns,
		placeholders(1+len(names))), append([]any{id}, key...)...)
	return rowID{id, own}
}

// freeID returns an ID below the last one that no row of a table has: the one after the highest,
// in the end that of a row that was deleted.
func (w *writer) freeID(table string) (id int64, found bool) {
	highest, _ := w.number("SELECT coalesce(max(id), 0) FROM " + table)
	if highest < w.lastID-1 {
		return highest + 1, w.err == nil
	}
	id, found = w.number(fmt.Sprintf(`SELECT n.id + 1
		FROM (SELECT ?1 AS id UNION ALL SELECT id FROM %[1]s WHERE id > ?1) n
		WHERE n.id + 1 < ?2 AND NOT EXISTS (SELECT 1 FROM %[1]s t WHERE t.id = n.id + 1) LIMIT 1`,
		table), w.searched[table], w.lastID)
	w.searched[table] = id
	if !found {
		w.searched[table] = w.lastID
	}
	return id, found
}
