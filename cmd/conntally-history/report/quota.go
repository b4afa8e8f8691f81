package report

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/cmd/internal/text"
)

// Quota is how many bytes a device may exchange with the outside in a billing month, up and
// down together.
type Quota struct {
	Name  string   // of the device; "" is all devices together
	IDs   []string // by which the device may be identified
	Bytes uint64
}

// Quotas is the answer to `report --quota`.
type Quotas struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"` // exclusive
	Losses
	Rows []QuotaRow `json:"rows"`
}

// QuotaRow is how far one quota is used.
type QuotaRow struct {
	Name     string  `json:"name"` // of the device; "" is all devices together
	Quota    uint64  `json:"quota_bytes"`
	Used     uint64  `json:"used_bytes"`
	Expected *uint64 `json:"expected_bytes"` // at the end of the month; nil if it can't be said
	Exceeded bool    `json:"exceeded"`
}

// Exceeded reports whether any quota is.
func (q *Quotas) Exceeded() bool {
	for _, row := range q.Rows {
		if row.Exceeded {
			return true
		}
	}
	return false
}

// BuildQuotas compares quotas with what has been used in a billing month.
func BuildQuotas(
	ctx context.Context, source Source, from, to time.Time, quotas []Quota, now time.Time,
) (*Quotas, error) {
	devices, err := source.Devices(ctx, store.Span{From: from, To: to})
	if err != nil {
		return nil, err
	}
	extent, err := source.Extent(ctx)
	if err != nil {
		return nil, err
	}
	q := &Quotas{From: from, To: to, Rows: []QuotaRow{}}
	err = q.read(ctx, source, from, earliest(to, now), extent, from.Location())
	if err != nil {
		return nil, err
	}
	for i := range quotas {
		row := quotas[i].row(devices)
		row.Exceeded = row.Used > row.Quota
		if e := EstimateMonth(usage.Counters{UpBytes: row.Used}, from, to, extent, now); e != nil {
			row.Expected = &e.UpBytes
		}
		q.Rows = append(q.Rows, row)
	}
	return q, nil
}

// row adds up what counts for a quota.
func (q *Quota) row(devices []store.DeviceRow) QuotaRow {
	row := QuotaRow{Name: q.Name, Quota: q.Bytes}
	for i := range devices {
		if d := &devices[i]; q.Counts(&d.Device) {
			row.Used += d.WAN.UpBytes + d.WAN.DownBytes
		}
	}
	return row
}

// Counts reports whether a quota is about a device. A name proves nothing, as a device may say
// any name to a DHCP server; but the router does not.
func (q *Quota) Counts(d *usage.Device) bool {
	if q.Name == "" || d.ID == usage.Router && q.Name == d.Name {
		return true
	}
	for _, id := range q.IDs {
		if id == d.ID {
			return true
		}
	}
	return false
}

// Text prints a table of quotas.
func (q *Quotas) Text(p Page) error {
	_ = p.print("Quotas, up and down through an uplink, "+span(q.From, q.To), "")
	t := &text.Table{Columns: []text.Column{
		{Head: "DEVICE", Flexible: true}, {Head: "QUOTA", Right: true, Least: 8},
		{Head: "USED", Right: true, Least: 8}, {Head: "%", Right: true, Least: 4},
		{Head: "EXPECTED", Right: true, Optional: 2}, {Head: "STATE"},
	}}
	if p.Columns > 0 {
		t.Columns = append(t.Columns, text.Column{Least: barWidth, Optional: 1})
	}
	for i := range q.Rows {
		row := &q.Rows[i]
		values := []string{row.Label(), text.Bytes(row.Quota), text.Bytes(row.Used), row.percent(),
			row.expected(), row.state()}
		if p.Columns > 0 {
			values = append(values, bar(min(row.Used, row.Quota), row.Quota, barWidth))
		}
		t.Add(values...)
	}
	if err := t.Print(p.Out, p.Columns); err != nil {
		return err
	}
	fmt.Fprintln(p.Out)
	return p.print(q.Lines()...)
}

// Label returns what the quota is about.
func (q *QuotaRow) Label() string {
	if q.Name == "" {
		return "all devices"
	}
	return q.Name
}

func (q *QuotaRow) percent() string {
	if q.Quota == 0 {
		return "-"
	}
	return strconv.FormatFloat(float64(q.Used)/float64(q.Quota)*100, 'f', 0, 64)
}

func (q *QuotaRow) expected() string {
	if q.Expected == nil {
		return "-"
	}
	return text.Bytes(*q.Expected)
}

// state says whether the quota lasts.
func (q *QuotaRow) state() string {
	switch {
	case q.Exceeded:
		return "exceeded"
	case q.Expected != nil && *q.Expected > q.Quota:
		return "will be exceeded"
	}
	return "ok"
}
