package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// vnstat is what vnstat --json prints, in bytes.
type vnstat struct {
	Version    string            `json:"jsonversion"`
	Interfaces []vnstatInterface `json:"interfaces"`
}

type vnstatInterface struct {
	Name    string `json:"name"`
	Traffic struct {
		Hour  []vnstatRow `json:"hour"`
		Day   []vnstatRow `json:"day"`
		Month []vnstatRow `json:"month"`
	} `json:"traffic"`
}

type vnstatRow struct {
	Date struct{ Year, Month, Day int }
	Time struct{ Hour, Minute int }
	// Timestamp is the period's start in seconds since 1970; older versions have none.
	Timestamp int64
	RX, TX    uint64
}

// readVnstat reads the traffic of one interface, the uplink: what it received was downloaded.
// vnStat counts the same traffic by hour, day and month. A month is taken by days if they add
// up to it, a day by hours if they do: so that the sum is that of the months.
func readVnstat(r io.Reader, o Options, fn func(*store.ImportRow) error) error {
	b, err := readWhole(r)
	if err != nil {
		return err
	}
	b = []byte(strings.TrimPrefix(string(b), "\ufeff"))
	var v vnstat
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	if v.Version != "2" {
		return fmt.Errorf("jsonversion %q of vnStat: want 2, that of vnStat 2.0 and later", v.Version)
	}
	i, err := v.choose(o.Interface)
	if err != nil {
		return err
	}
	return i.each(o.Calendar, fn)
}

// choose returns an interface by its name, or the only one.
func (v *vnstat) choose(name string) (*vnstatInterface, error) {
	var names []string
	for i := range v.Interfaces {
		if v.Interfaces[i].Name == name || name == "" && len(v.Interfaces) == 1 {
			return &v.Interfaces[i], nil
		}
		names = append(names, v.Interfaces[i].Name)
	}
	if len(names) == 0 {
		return nil, errors.New("the file has no interface")
	}
	return nil, fmt.Errorf("which interface is the uplink? Add --interface, one of %s",
		strings.Join(names, ", "))
}

// vnstatPeriods are the rows of an interface by their start.
type vnstatPeriods struct {
	hours, days, months map[time.Time]usage.Counters
}

func (i *vnstatInterface) each(c usage.Calendar, fn func(*store.ImportRow) error) error {
	var p vnstatPeriods
	var err error
	if p.hours, err = periods(i.Traffic.Hour, store.ByHour, c); err != nil {
		return err
	}
	if p.days, err = periods(i.Traffic.Day, store.ByDay, c); err != nil {
		return err
	}
	if p.months, err = periods(i.Traffic.Month, store.ByMonth, c); err != nil {
		return err
	}
	if len(p.days) == 0 { // vnstat --json h
		p.days = sums(p.hours, func(t time.Time) time.Time { return c.Start(c.Day(t)) })
	}
	return p.each(c, i.Name, fn)
}

// each calls fn with the finest rows that add up.
func (p *vnstatPeriods) each(
	c usage.Calendar, name string, fn func(*store.ImportRow) error,
) error {
	device := usage.Device{ID: "vnstat/" + name, Name: name + " (vnStat)"}
	emit := func(period store.Period, start time.Time, of usage.Counters) error {
		row := &store.ImportRow{Period: period, Start: start, Device: device,
			Usage: usage.Usage{WAN: of}}
		if err := checkRow(row); err != nil {
			return fmt.Errorf("%s: %w", formatStart(period, start), err)
		}
		return fn(row)
	}
	dayOf := func(t time.Time) time.Time { return c.Start(c.Day(t)) }
	monthOf := func(t time.Time) time.Time { return c.Start(c.Day(t).Month().First()) }
	byDay := complete(p.days, p.months, monthOf)
	byHour := complete(p.hours, p.days, dayOf)
	for t, n := range p.hours {
		if byHour[dayOf(t)] && byDay[monthOf(t)] {
			if err := emit(store.ByHour, t, n); err != nil {
				return err
			}
		}
	}
	for t, n := range p.days {
		if byDay[monthOf(t)] && !byHour[t] {
			if err := emit(store.ByDay, t, n); err != nil {
				return err
			}
		}
	}
	for t, n := range p.months {
		if !byDay[t] {
			if err := emit(store.ByMonth, t, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// periods returns the rows of one kind by their start.
func periods(
	rows []vnstatRow, p store.Period, c usage.Calendar,
) (map[time.Time]usage.Counters, error) {
	all := map[time.Time]usage.Counters{}
	for i := range rows {
		start, err := rows[i].start(p, c)
		if err != nil {
			return nil, err
		}
		sum := all[start]
		sum.Add(usage.Counters{UpBytes: rows[i].TX, DownBytes: rows[i].RX})
		all[start] = sum
	}
	return all, nil
}

// start returns when the period of a row begins.
func (r *vnstatRow) start(p store.Period, c usage.Calendar) (time.Time, error) {
	d := r.Date
	if p == store.ByMonth {
		d.Day = 1
	}
	if d.Year < 1970 || d.Year > 9999 || d.Month < 1 || d.Month > 12 || d.Day < 1 || d.Day > 31 {
		return time.Time{}, fmt.Errorf("no date: year %d, month %d, day %d", d.Year, d.Month, d.Day)
	}
	t := c.Date(d.Year, time.Month(d.Month), d.Day)
	switch {
	case p == store.ByHour && r.Timestamp > 0:
		hour, _ := c.Hour(time.Unix(r.Timestamp, 0))
		t = time.Unix(int64(hour), 0).In(c.Location)
	case p == store.ByHour:
		t = time.Date(d.Year, time.Month(d.Month), d.Day, r.Time.Hour, 0, 0, 0, c.Location)
	}
	return t, nil
}

// sums adds up parts by the whole that they are of.
func sums(
	parts map[time.Time]usage.Counters, of func(time.Time) time.Time,
) map[time.Time]usage.Counters {
	all := map[time.Time]usage.Counters{}
	for t, n := range parts {
		sum := all[of(t)]
		sum.Add(n)
		all[of(t)] = sum
	}
	return all
}

// complete returns the wholes to which their parts add up. If no whole is known, all do.
func complete(
	parts, wholes map[time.Time]usage.Counters, of func(time.Time) time.Time,
) map[time.Time]bool {
	all := map[time.Time]bool{}
	for t, sum := range sums(parts, of) {
		whole, known := wholes[t]
		all[t] = known && whole == sum || len(wholes) == 0
	}
	return all
}
