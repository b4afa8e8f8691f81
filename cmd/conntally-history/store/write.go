package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Write writes a batch: all of it or, with an error, nothing.
//
// When a device was last seen stands in its latest hour, which is written anyway; its own row has
// it once a day, or with another change of it. A batch with destinations, which come once an
// hour, is on the disk when Write returns, with all before it; another one is when the kernel
// writes it, which takes it half a minute.
func (s *Store) Write(ctx context.Context, b *usage.Batch) error {
	if len(b.Destinations) > 0 {
		if _, err := s.db.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
			return err
		}
		defer func() { // a failure costs further syncs, no more
			_, _ = s.db.ExecContext(ctx, "PRAGMA synchronous = NORMAL")
		}()
	}
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		w := newWriter(ctx, tx, s.options)
		defer w.close()
		w.batch(b)
		w.updateRun(s.run, b)
		return w.err
	})
}

// writer writes in one transaction. After its first error it does nothing.
type writer struct {
	ctx        context.Context
	tx         *sql.Tx
	options    Options
	err        error
	statements map[string]*sql.Stmt
	devices    map[string]rowID // by usage.Device.ID
	hours      map[usage.Hour]bool
	lastID     int64            // that counted has room for
	searched   map[string]int64 // by table: no ID up to this one is free
}

func newWriter(ctx context.Context, tx *sql.Tx, o Options) *writer {
	return &writer{ctx: ctx, tx: tx, options: o, statements: map[string]*sql.Stmt{},
		devices: map[string]rowID{}, hours: map[usage.Hour]bool{},
		lastID: 1<<idBits - 1, searched: map[string]int64{}}
}

func (w *writer) close() {
	for _, s := range w.statements {
		_ = s.Close()
	}
}

func (w *writer) prepare(query string) *sql.Stmt {
	s, ok := w.statements[query]
	if !ok && w.err == nil {
		if s, w.err = w.tx.PrepareContext(w.ctx, query); w.err == nil {
			w.statements[query] = s
		}
	}
	return s
}

func (w *writer) exec(query string, args ...any) (changed int64) {
	s := w.prepare(query)
	if w.err != nil {
		return 0
	}
	var result sql.Result
	if result, w.err = s.ExecContext(w.ctx, args...); w.err != nil {
		return 0
	}
	changed, w.err = result.RowsAffected()
	return changed
}

// number returns the first column of the first row; found is false if there is none.
func (w *writer) number(query string, args ...any) (n int64, found bool) {
	s := w.prepare(query)
	if w.err != nil {
		return 0, false
	}
	err := s.QueryRowContext(w.ctx, args...).Scan(&n)
	if err == sql.ErrNoRows { // Scan returns it as it is
		return 0, false
	}
	w.err = err
	return n, err == nil
}

// numbers returns the first column of all rows.
func (w *writer) numbers(text string, args ...any) (all []int64) {
	if w.err != nil {
		return nil
	}
	w.err = query(w.ctx, w.tx, func(scan scanner) error {
		var n int64
		err := scan(&n)
		all = append(all, n)
		return err
	}, text, args...)
	return all
}

func (w *writer) batch(b *usage.Batch) {
	for _, m := range b.Merges {
		w.merge(m)
	}
	for i := range b.Devices {
		w.device(&b.Devices[i])
	}
	w.deviceHours(b.Hours)
	w.lastSeen(b)
	w.destinations(b.Destinations)
	w.exporters(b)
	for k, c := range b.Services {
		w.hour(k.Hour, k.Day)
		w.add(services(), k.Hour, w.serviceID(k.Unit), counterValues(c))
	}
	w.serviceStates(b.ServiceStates)
	if b.JournalCursor != "" {
		w.exec(`INSERT INTO setting VALUES ('journal_cursor', ?)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, b.JournalCursor)
	}
}

// updateRun has a run updated by a batch that has no sequence, which has the time of its own. A run
// that seems to have begun later has begun before the clock was set back.
func (w *writer) updateRun(run int64, b *usage.Batch) {
	if len(b.Sequences) == 0 {
		w.exec("UPDATE run SET updated = ? WHERE id = ?", b.At.Unix(), run)
	}
	w.exec(`UPDATE run SET started = min(started, ?1), updated = min(updated, ?1)
		WHERE id = ?2 AND max(started, updated) > ?1`, b.At.Unix(), run)
}

// deviceHours writes in the order of the table: rows that come in their order fill its pages,
// and the fewer pages there are the less is written with each flush.
func (w *writer) deviceHours(all map[usage.DeviceHour]usage.Usage) {
	type row struct {
		hour   usage.Hour
		device int64
		usage  usage.Usage
	}
	rows := make([]row, 0, len(all))
	for k, u := range all {
		w.hour(k.Hour, k.Day)
		rows = append(rows, row{k.Hour, w.deviceID(k.Device), u})
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.hour, b.hour), cmp.Compare(a.device, b.device))
	})
	for _, r := range rows {
		w.add(devices(), r.hour, r.device, usageValues(r.usage))
	}
}

// lastSeen writes to the minute when devices were last seen, into the latest hour of each: where
// that ended before, its end.
func (w *writer) lastSeen(b *usage.Batch) {
	latest := map[string]usage.Hour{}
	for k := range b.Hours {
		latest[k.Device] = max(latest[k.Device], k.Hour)
	}
	for i := range b.Devices {
		d := &b.Devices[i]
		h, ok := latest[d.ID]
		if !ok {
			continue
		}
		minute := min(max(unix(d.Last)-int64(h), 0)/60, 60)
		w.exec("UPDATE counted SET i = ?1 WHERE id = ?2 AND i < ?1", minute,
			devices().id(h, w.deviceID(d.ID)))
	}
}

// add adds values to what an hour has of one of a family.
func (w *writer) add(f family, h usage.Hour, of int64, values []any) {
	w.exec(fmt.Sprintf("INSERT INTO counted (id, %s) VALUES (%s) ON CONFLICT DO UPDATE SET %s",
		list(f.counted(), "%"), placeholders(1+len(values)), added("counted", f.counted())),
		append([]any{f.id(h, of)}, values...)...)
}

func (w *writer) hour(h usage.Hour, d usage.Day) {
	if w.hours[h] {
		return
	}
	w.hours[h] = true
	label := time.Unix(int64(h), 0).In(w.options.Calendar.Location).Format("2006-01-02 15:04")
	w.exec("INSERT INTO hour VALUES (?, ?, ?) ON CONFLICT DO NOTHING", int64(h), int64(d), label)
}

// longest is how much is kept of a text that others chose, in bytes.
const longest = 255

func clip(s string) string {
	if len(s) > longest {
		s = s[:longest]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// device writes what is known of a device, where that has changed.
func (w *writer) device(d *usage.Device) {
	id, own := w.ownDeviceID(d.ID)
	if !own {
		return
	}
	w.exec(`UPDATE device SET name = ?2, mac = ?3, vendor = ?4, addresses = ?5,
		first = CASE WHEN first = 0 OR ?6 BETWEEN 1 AND first THEN ?6 ELSE first END,
		last = max(last, ?7)
		WHERE id = ?1 AND (name <> ?2 OR mac <> ?3 OR vendor <> ?4 OR addresses <> ?5
			OR first = 0 AND ?6 <> 0 OR ?6 BETWEEN 1 AND first - 1 OR ?7 >= last + 86400)`,
		id, clip(d.Name), clip(d.MAC), clip(d.Vendor), joinAddrs(d.Addresses),
		unix(d.First), unix(d.Last))
}

// mostAddresses is how many addresses of a device are kept, the latest.
const mostAddresses = 32

func joinAddrs(addrs []netip.Addr) string {
	var b strings.Builder
	for i, a := range addrs {
		if i == mostAddresses {
			break
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.String())
	}
	return b.String()
}

// unix returns seconds since 1970, 0 for the zero Time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func (w *writer) exporters(b *usage.Batch) {
	f := exporters()
	for k, i := range b.Exporters {
		w.hour(k.Hour, k.Day)
		id, _ := w.exporterID(k.Exporter)
		w.add(f, k.Hour, id, intakeValues(i))
	}
	// The sequence stands in the row of the latest hour, which the counters have changed
	// anyway.
	latest := map[usage.Exporter]usage.Hour{}
	for k := range b.Exporters {
		latest[k.Exporter] = max(latest[k.Exporter], k.Hour)
	}
	w.rewind(b.At)
	now, day := w.options.Calendar.Hour(b.At)
	for e, s := range b.Sequences {
		id, own := w.exporterID(e)
		if !own {
			continue
		}
		h, ok := latest[e]
		if !ok || h > now {
			h = now
			w.hour(now, day)
		}
		since := min(max(b.At.Unix()-int64(h), 0), 1<<15-1)
		w.exec("INSERT INTO counted (id, h) VALUES (?, ?) ON CONFLICT DO UPDATE SET h = excluded.h",
			f.id(h, id), since<<48|int64(s.Port)<<32|int64(s.Next))
	}
}

// rewind moves sequences into the hour of now that stand in later ones, written before the clock
// was set back. So the latest hour of an exporter has the latest sequence.
func (w *writer) rewind(now time.Time) {
	hour, day := w.options.Calendar.Hour(now)
	f := exporters()
	next := int64(hour)/900 + 1
	later := fmt.Sprintf("id >= %d AND (id >> %d) & 3 = %d AND h <> 0", next<<(idBits+2), idBits,
		f.kind)
	moved := w.exec(fmt.Sprintf(`INSERT INTO counted (id, h)
		SELECT ? | (id & %d), h & %d FROM counted WHERE %s ORDER BY id
		ON CONFLICT DO UPDATE SET h = excluded.h`, 1<<idBits-1, int64(1)<<48-1, later),
		f.id(hour, 0))
	if moved > 0 {
		w.hour(hour, day)
		w.exec("UPDATE counted SET h = 0 WHERE " + later)
	}
}

// serviceStates makes the stored states those that are given. It writes those that have changed.
func (w *writer) serviceStates(states []usage.ServiceState) {
	if states == nil || w.err != nil {
		return
	}
	type invocation struct{ unit, id string }
	stored := map[invocation]usage.Counters{}
	w.err = eachServiceState(w.ctx, w.tx, func(s usage.ServiceState) {
		stored[invocation{s.Unit, s.Invocation}] = s.Counted
	})
	for _, s := range states {
		key := invocation{clip(s.Unit), clip(s.Invocation)}
		was, is := stored[key]
		delete(stored, key)
		if is && was == s.Counted {
			continue
		}
		w.exec(fmt.Sprintf("INSERT OR REPLACE INTO service_state (unit, invocation, %s) VALUES (%s)",
			list(traffic(), "%"), placeholders(2+len(traffic()))),
			append([]any{key.unit, key.id}, counterValues(s.Counted)...)...)
	}
	for key := range stored {
		w.exec("DELETE FROM service_state WHERE unit = ? AND invocation = ?", key.unit, key.id)
	}
}

// eachServiceState calls fn with each state that is stored.
func eachServiceState(ctx context.Context, q querier, fn func(usage.ServiceState)) error {
	return query(ctx, q, func(scan scanner) error {
		var s usage.ServiceState
		err := scan(&s.Unit, &s.Invocation, &s.Counted.UpBytes, &s.Counted.DownBytes,
			&s.Counted.UpPackets, &s.Counted.DownPackets)
		fn(s)
		return err
	}, `SELECT unit, invocation, up_bytes, down_bytes, up_packets, down_packets
		FROM service_state ORDER BY unit, invocation`)
}

// The values of a row, in the order of the columns.

func counterValues(c usage.Counters) []any {
	return capped(c.UpBytes, c.DownBytes, c.UpPackets, c.DownPackets)
}

func usageValues(u usage.Usage) []any {
	return append(counterValues(u.WAN), counterValues(u.LAN)...)
}

func intakeValues(i usage.Intake) []any {
	return capped(i.Datagrams, i.Records, i.Bytes, i.MissingRecords, i.MissingDatagrams,
		i.UnknownSets, i.Refused)
}

func capped(values ...uint64) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = int64(min(v, largest))
	}
	return all
}
