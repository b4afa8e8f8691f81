package serve

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/condition"
	"github.com/conntally/conntally/cmd/conntally-history/report"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	shared "github.com/conntally/conntally/cmd/internal/condition"
)

// sendNetFlow9 sends a NetFlow v9 datagram of so many records, without a template.
func (e *exporter) sendNetFlow9(records int) {
	e.t.Helper()
	now := time.Now()
	b := binary.BigEndian.AppendUint16(nil, 9)
	b = binary.BigEndian.AppendUint16(b, uint16(records))
	b = binary.BigEndian.AppendUint32(b, 1000) // uptime
	b = binary.BigEndian.AppendUint32(b, uint32(now.Unix()))
	b = binary.BigEndian.AppendUint32(b, e.sequence)
	b = binary.BigEndian.AppendUint32(b, 7)
	var data []byte
	for i := range records {
		data = append(data, e.record(i, now)...)
	}
	if records > 0 {
		b = append(b, set(300, data)...)
	}
	if _, err := e.conn.Write(b); err != nil {
		e.t.Fatal(err)
	}
	e.sequence++
}

// What waits for its template at the end is said to be missing, in each version.
func TestDataWithoutTemplateIsSaidAtTheEnd(t *testing.T) {
	const sets = "2 sets of records whose template had not come."
	for _, c := range []struct {
		name       string
		send       func(*exporter)
		want       string
		conditions []shared.ID
	}{
		{"NetFlow v9", func(e *exporter) { e.sendNetFlow9(3) }, "Missing: " + sets,
			[]shared.ID{condition.TemplatesUnknown}},
		// The sequence tells how many records the first one had.
		{"IPFIX", func(e *exporter) { e.messages = 1; e.send(3) },
			"Missing: 3 flow records lost on the way, " + sets,
			[]shared.ID{condition.RecordsMissing, condition.TemplatesUnknown}},
	} {
		t.Run(c.name, func(t *testing.T) {
			database := enter(t)
			r := run(t, database, nil)
			e := newExporter(t)
			c.send(e)
			c.send(e)
			r.until("datagrams", func() bool { return r.snapshot().Datagrams == 2 })
			r.end()
			if got := read(t, database); got.UnknownSets != 2 || got.Records != 0 {
				t.Errorf("got %+v", got.Intake)
			}
			r.expect(c.conditions...)
			if got := reportLine(t, database); got != c.want {
				t.Errorf("the report says: %s", got)
			}
		})
	}
}

// reportLine returns what a report of the last minutes says first about what is missing.
func reportLine(t *testing.T, database string) string {
	t.Helper()
	c := usage.Calendar{Location: time.UTC}
	r, err := store.OpenReader(t.Context(), database, c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	extent, err := r.Extent(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(time.Hour)
	built, err := report.Build(t.Context(), r, c,
		report.Query{By: report.Device, From: extent.First, To: now}, now)
	if err != nil {
		t.Fatal(err)
	}
	return built.Lines()[0]
}

// What an exporter sent before it came to use another port is given up after some time.
func TestDataWithoutTemplateOfAnAbandonedPortIsGivenUp(t *testing.T) {
	r := run(t, enter(t), nil)
	newExporter(t).sendNetFlow9(3)
	restarted, sent := newExporter(t), uint64(1)
	o := r.observer()
	unknown := func() (n uint64) {
		for _, x := range r.collector.Stats().Exporters {
			n += x.UnknownSets
		}
		return n
	}
	minutes := 0
	for ; unknown() == 0 && minutes < 10; minutes++ {
		r.clock.pass(time.Minute)
		restarted.sendNetFlow9(0)
		sent++
		r.until("a datagram", func() bool { return r.snapshot().Datagrams == sent })
	}
	if n := unknown(); n != 1 || minutes < 3 {
		t.Errorf("%d sets are unknown after %d minutes", n, minutes)
	}
	o.observe(r.clock.read())
	r.expect(condition.TemplatesUnknown)
}
