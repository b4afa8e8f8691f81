package monitor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/conntally/conntally/conntrack"
)

// Usage is what this run has counted by interface, kind of traffic and device.
type Usage struct {
	Interfaces []InterfaceUsage
	Traffic    []TrafficUsage
	Devices    []DeviceUsage // none unless they are asked for
}

// InterfaceUsage is what passed by an interface, in bytes.
type InterfaceUsage struct {
	Name           string
	Received, Sent uint64
}

// TrafficUsage is what passed the router in one way, in bytes.
type TrafficUsage struct {
	Direction string // such as "upload"
	Bytes     uint64
}

// DeviceUsage is what a device has sent and received.
type DeviceUsage struct {
	Device, Name, MAC, Addresses, Vendor string
	First, Last                          time.Time // zero: never
	Connections                          int
	Online                               bool
	Scopes                               []ScopeUsage
}

// ScopeUsage is the part of a DeviceUsage whose other end is in a scope.
type ScopeUsage struct {
	Scope    string // "wan" or "lan"
	Up, Down conntrack.Counters
}

func constant(v float64) func() float64 { return func() float64 { return v } }

func bytesOf(n uint64) func() float64 { return constant(float64(n)) }

// interfaceRows have the label interface.
func interfaceRows(u *InterfaceUsage) []row {
	return []row{
		{"conntally_interface_receive_bytes_total", bytesOf(u.Received),
			"Bytes of connections that came in by the interface. `other` are all interfaces " +
				"whose name was never known, and all beyond 4096."},
		{"conntally_interface_transmit_bytes_total", bytesOf(u.Sent),
			"Bytes of connections that left by the interface."},
	}
}

// trafficRows have the label direction.
func trafficRows(u *TrafficUsage) []row {
	return []row{{
		"conntally_traffic_bytes_total", bytesOf(u.Bytes),
		"Bytes of all connections. `direction` is `upload` or `download` by an uplink, " +
			"`internal` " +
			"between devices, `transit` between uplinks, or `unknown`.",
	}}
}

// scopeRows have the labels device, name and scope.
func scopeRows(u *ScopeUsage) []row {
	return []row{
		{"conntally_device_receive_bytes_total", bytesOf(u.Down.Bytes),
			"Bytes that a device has received. `scope` is `wan` if the other end is behind an " +
				"uplink, else `lan`."},
		{"conntally_device_transmit_bytes_total", bytesOf(u.Up.Bytes),
			"Bytes that a device has sent."},
		{"conntally_device_receive_packets_total", bytesOf(u.Down.Packets),
			"Packets that a device has received."},
		{"conntally_device_transmit_packets_total", bytesOf(u.Up.Packets),
			"Packets that a device has sent."},
	}
}

// deviceRows have the labels device and name.
func deviceRows(u *DeviceUsage) []row {
	online := 0.0
	if u.Online {
		online = 1
	}
	return []row{
		{"conntally_device_connections", constant(float64(u.Connections)),
			"Open connections of a device."},
		{"conntally_device_online", constant(online),
			"1 if a device has sent something within `offline_after`, else 0."},
		{"conntally_device_first_seen_timestamp_seconds", timestamp(u.First),
			"When a device first sent something, in seconds since 1970."},
		{"conntally_device_last_seen_timestamp_seconds", timestamp(u.Last),
			"When a device last sent something, in seconds since 1970."},
	}
}

func timestamp(t time.Time) func() float64 {
	if t.IsZero() {
		return constant(0)
	}
	return constant(float64(t.UnixMilli()) / 1000)
}

// infoRows have the labels device, name, mac, addresses and vendor.
func infoRows() []row {
	return []row{{
		"conntally_device_info", constant(1),
		"A device's identity and what is known of it, as labels; always 1.",
	}}
}

// usageCollector collects what Usage returns, all of one reading.
type usageCollector struct {
	usage                                      func() *Usage
	interfaces, traffic, scopes, devices, info *collector
}

func newUsageCollector(usage func() *Usage) *usageCollector {
	return &usageCollector{
		usage:      usage,
		interfaces: newCollector(interfaceRows(new(InterfaceUsage)), nil, "interface"),
		traffic:    newCollector(trafficRows(new(TrafficUsage)), nil, "direction"),
		scopes:     newCollector(scopeRows(new(ScopeUsage)), nil, "device", "name", "scope"),
		devices:    newCollector(deviceRows(new(DeviceUsage)), nil, "device", "name"),
		info:       newCollector(infoRows(), nil, "device", "name", "mac", "addresses", "vendor"),
	}
}

// Describe implements prometheus.Collector.
func (c *usageCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, part := range []*collector{c.interfaces, c.traffic, c.scopes, c.devices, c.info} {
		part.Describe(ch)
	}
}

// Collect implements prometheus.Collector.
func (c *usageCollector) Collect(ch chan<- prometheus.Metric) {
	u := c.usage()
	if u == nil {
		return
	}
	for i := range u.Interfaces {
		c.interfaces.send(ch, interfaceRows(&u.Interfaces[i]), u.Interfaces[i].Name)
	}
	for i := range u.Traffic {
		c.traffic.send(ch, trafficRows(&u.Traffic[i]), u.Traffic[i].Direction)
	}
	for i := range u.Devices {
		d := &u.Devices[i]
		c.devices.send(ch, deviceRows(d), d.Device, d.Name)
		c.info.send(ch, infoRows(), d.Device, d.Name, d.MAC, d.Addresses, d.Vendor)
		for j := range d.Scopes {
			c.scopes.send(ch, scopeRows(&d.Scopes[j]), d.Device, d.Name, d.Scopes[j].Scope)
		}
	}
}
