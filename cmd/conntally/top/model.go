// Package top shows what moves now: devices, destinations, connections or ports by their
// rates, on a terminal that it refreshes, as plain rows or as JSON.
//
//	two answers of a control.Source -> Sample -> rows -> Screen -> lines of text
package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/show"
)

// View is what the rows are.
type View int

// The views.
const (
	Devices View = iota
	Destinations
	Connections
	Ports
)

// Sort is what the rows are sorted by, the largest first.
type Sort int

// The orders. Total is up and down together.
const (
	ByTotal Sort = iota
	ByUp
	ByDown
	ByConnections
)

// Views returns the words that ParseView accepts, in the order of the constants.
func Views() []string { return []string{"device", "destination", "connection", "port"} }

// Sorts returns the words that ParseSort accepts, in the order of the constants.
func Sorts() []string { return []string{"total", "up", "down", "connections"} }

// ParseView reads the name of a view.
func ParseView(s string) (View, error) {
	i, err := parse(s, Views())
	return View(i), err
}

// ParseSort reads the name of an order.
func ParseSort(s string) (Sort, error) {
	i, err := parse(s, Sorts())
	return Sort(i), err
}

func parse(s string, words []string) (int, error) {
	if i := slices.Index(words, s); i >= 0 {
		return i, nil
	}
	return 0, fmt.Errorf("want one of %s", strings.Join(words, ", "))
}

// Filter leaves out connections; an empty string leaves out none.
type Filter struct {
	Device      string // control.Device.Device
	Destination string // the other end's address
	Port        string // such as "tcp/443"
}

func (f *Filter) keeps(flow *control.Flow) bool {
	remote, _ := flow.Remote()
	return (f.Device == "" || f.Device == flow.Device) &&
		(f.Destination == "" || f.Destination == remote) &&
		(f.Port == "" || f.Port == port(flow))
}

// port returns the port that the connection was opened to, with its protocol.
func port(f *control.Flow) string {
	if f.DstPort == 0 {
		return f.Protocol
	}
	return f.Protocol + "/" + strconv.Itoa(int(f.DstPort))
}

// Row is a line of a view.
type Row struct {
	Key         string // the same at each refresh
	Name        string // what the row shows first
	Device      string // control.Device.Device, of devices and connections
	DeviceName  string // of devices and connections
	Up, Down    float64
	Connections int
	Other       string // the fastest destination of a device, or device of a destination or port
	Flow        *control.Flow
}

// Total returns the rate in both directions.
func (r *Row) Total() float64 { return r.Up + r.Down }

// Sample is what a source answered at one refresh.
type Sample struct {
	Asked   string // the device whose flows these are; "": all devices
	Status  control.Status
	Devices *control.Devices
	Flows   *control.Flows
}

// Rates are what moved between two readings.
type Rates struct {
	Interval time.Duration      // between the readings; 0: there is only one yet
	WAN, LAN [2]float64         // of all devices, up and down, in bits per second
	devices  map[string]measure // by control.Device.Device
	flows    map[string]measure // by flowKey
}

// measure is a rate in bits per second.
type measure struct{ up, down float64 }

// flowKey identifies a flow; an ID can come again.
func flowKey(f *control.Flow) string { return f.ID + "/" + f.Start.Format(time.RFC3339Nano) }

// Measure returns the rates between two samples, the first of which may be nil. last are those
// up to the first; they are returned if the counters haven't been read again since.
func Measure(before, now *Sample, last *Rates) *Rates {
	r := &Rates{devices: map[string]measure{}, flows: map[string]measure{}}
	if before == nil {
		r.measureFlows(&Sample{Flows: &control.Flows{}}, now, r)
		return r
	}
	if interval := now.Devices.Read.Sub(before.Devices.Read); interval > 0 {
		r.Interval = interval
		r.measureDevices(before.Devices.Devices, now.Devices.Devices)
	} else {
		r.Interval, r.WAN, r.LAN, r.devices = last.Interval, last.WAN, last.LAN, last.devices
	}
	r.measureFlows(before, now, last)
	return r
}

func (r *Rates) measureDevices(before, now []control.Device) {
	was := map[string]*control.Device{}
	for i := range before {
		was[before[i].Device] = &before[i]
	}
	for i := range now {
		d := &now[i]
		old := was[d.Device]
		if old == nil { // new since before: all that it moved counts
			old = &control.Device{}
		}
		wan := rate(&old.WAN, &d.WAN, r.Interval)
		lan := rate(&old.LAN, &d.LAN, r.Interval)
		r.devices[d.Device] = measure{wan.up + lan.up, wan.down + lan.down}
		r.WAN[0] += wan.up
		r.WAN[1] += wan.down
		r.LAN[0] += lan.up
		r.LAN[1] += lan.down
	}
}

// measureFlows adds the rates of flows. Those that weren't in the answer before, which has
// only the fastest, have the source's own rates. What is up to one device is down to another.
func (r *Rates) measureFlows(before, now *Sample, last *Rates) {
	interval := now.Flows.Read.Sub(before.Flows.Read)
	was := map[string]*control.Usage{}
	for i := range before.Flows.Flows {
		if f := &before.Flows.Flows[i]; before.Asked == now.Asked {
			was[flowKey(f)] = &f.Usage
		}
	}
	for i := range now.Flows.Flows {
		f := &now.Flows.Flows[i]
		key := flowKey(f)
		switch old := was[key]; {
		case old == nil:
			r.flows[key] = measure{f.UpBitsPerSecond, f.DownBitsPerSecond}
		case interval > 0:
			r.flows[key] = rate(old, &f.Usage, interval)
		default:
			r.flows[key] = last.flows[key]
		}
	}
}

// rate returns what moved per second. Counters that became smaller began at 0.
func rate(was, now *control.Usage, interval time.Duration) measure {
	perSecond := func(was, now uint64) float64 {
		if now < was {
			was = 0
		}
		return float64(now-was) * 8 / interval.Seconds()
	}
	return measure{perSecond(was.UpBytes, now.UpBytes), perSecond(was.DownBytes, now.DownBytes)}
}

// sortRows sorts by s, then by total and name.
func sortRows(rows []Row, s Sort) {
	by := func(r *Row) float64 {
		switch s {
		case ByUp:
			return r.Up
		case ByDown:
			return r.Down
		case ByConnections:
			return float64(r.Connections)
		}
		return r.Total()
	}
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(by(&b), by(&a)), cmp.Compare(b.Total(), a.Total()),
			strings.Compare(a.Name, b.Name), strings.Compare(a.Key, b.Key))
	})
}

// label names the other end of a connection: by the name of its device, or else by its
// address.
func label(names map[string]string, address string) string {
	if name := names[address]; name != "" {
		return name
	}
	return address
}

// namesOf returns the names of devices by their addresses.
func namesOf(d *control.Devices) map[string]string {
	names := map[string]string{}
	for i := range d.Devices {
		for _, address := range d.Devices[i].Addresses {
			names[address] = d.Devices[i].Name
		}
	}
	return names
}

// connection describes a flow in one line.
func connection(f *control.Flow) string {
	address, port := f.Remote()
	return fmt.Sprintf("%s %s %s %s", f.Protocol, show.FlowDevice(f), show.Arrow(f),
		show.Endpoint(address, port))
}
