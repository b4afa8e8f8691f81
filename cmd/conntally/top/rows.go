package top

import (
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/show"
)

// Rows returns the rows of a view, sorted.
func Rows(now *Sample, r *Rates, view View, filter Filter, s Sort) []Row {
	rows := []Row{}
	switch view {
	case Devices:
		rows = deviceRows(now, r)
	case Connections:
		for f, m := range kept(now, r, filter) {
			rows = append(rows, Row{
				Key: flowKey(f), Name: connection(f), Device: f.Device, DeviceName: f.Name,
				Up: m.up, Down: m.down, Connections: 1, Flow: f,
			})
		}
	default:
		rows = groupRows(now, r, view, filter)
	}
	sortRows(rows, s)
	return rows
}

// kept yields the flows that the filter keeps, and their rates.
func kept(now *Sample, r *Rates, filter Filter) func(func(*control.Flow, measure) bool) {
	return func(yield func(*control.Flow, measure) bool) {
		for i := range now.Flows.Flows {
			f := &now.Flows.Flows[i]
			if filter.keeps(f) && !yield(f, r.flows[flowKey(f)]) {
				return
			}
		}
	}
}

func deviceRows(now *Sample, r *Rates) []Row {
	names, best := namesOf(now.Devices), fastest{}
	for f, m := range kept(now, r, Filter{}) {
		address, _ := f.Remote()
		best.offer(f.Device, label(names, address), m, f)
	}
	rows := make([]Row, 0, len(now.Devices.Devices))
	for i := range now.Devices.Devices {
		d := &now.Devices.Devices[i]
		m := r.devices[d.Device]
		rows = append(rows, Row{
			Key: d.Device, Name: d.Label(), Device: d.Device, DeviceName: d.Name,
			Up: m.up, Down: m.down, Connections: d.Connections, Other: best[d.Device].name,
		})
	}
	return rows
}

// groupRows adds up connections by destination or port.
func groupRows(now *Sample, r *Rates, view View, filter Filter) []Row {
	names, best := namesOf(now.Devices), fastest{}
	groups, order := map[string]*Row{}, []string{}
	for f, m := range kept(now, r, filter) {
		key, _ := f.Remote()
		name := label(names, key)
		if view == Ports {
			key = port(f)
			name = key
		}
		row := groups[key]
		if row == nil {
			row = &Row{Key: key, Name: name}
			groups[key], order = row, append(order, key)
		}
		row.Up += m.up
		row.Down += m.down
		row.Connections++
		best.offer(key, show.FlowDevice(f), m, f)
	}
	rows := make([]Row, 0, len(order))
	for _, key := range order {
		row := groups[key]
		row.Other = best[key].name
		rows = append(rows, *row)
	}
	return rows
}

// fastest has the name with the highest rate for each key; without rates, that which moved
// most.
type fastest map[string]candidate

type candidate struct {
	name  string
	rate  float64
	bytes uint64
}

func (t fastest) offer(key, name string, m measure, f *control.Flow) {
	c := candidate{name, m.up + m.down, f.UpBytes + f.DownBytes}
	best, known := t[key]
	if !known || c.rate > best.rate || c.rate == best.rate && c.bytes > best.bytes {
		t[key] = c
	}
}
