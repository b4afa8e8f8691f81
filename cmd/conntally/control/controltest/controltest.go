// Package controltest has a control.Source of a small home, for tests.
//
//	New(start).Advance(2 s) -> counters as after 2 s of steady traffic
package controltest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
)

// Source is a control.Source whose traffic flows at constant rates. Any goroutine may use
// it.
type Source struct {
	mu     sync.Mutex
	status control.Status
	read   time.Time
	last   time.Duration // since the reading before
	homes  []control.Device
	flows  []control.Flow
	asked  []time.Duration // the maxAge of each request
	err    error
}

// New returns a home whose counters were read at a time.
func New(read time.Time) *Source {
	s := &Source{read: read, last: 2 * time.Second, homes: devices(read), flows: flows(read)}
	s.status = control.Status{
		Version: "1.2.3", Source: "netlink", Uptime: 273600, PollInterval: 10,
		Conditions: []condition.Condition{},
		Collectors: []control.Collector{
			{Address: "192.0.2.10:2055", Protocol: "ipfix", Records: 123456, Datagrams: 6543},
			{
				Address: "[2001:db8::10]:4739", Protocol: "netflow9", Dropped: 12,
				Error: "connection refused",
			},
		},
	}
	return s
}

// Advance moves the counters to another reading, after d at the flows' rates.
func (s *Source) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read, s.last = s.read.Add(d), d
	for i := range s.flows {
		f := &s.flows[i]
		up := uint64(f.UpBitsPerSecond / 8 * d.Seconds())
		down := uint64(f.DownBitsPerSecond / 8 * d.Seconds())
		moved := usage(up, down)
		add(&f.Usage, moved)
		for j := range s.homes {
			if h := &s.homes[j]; h.Device == f.Device && f.Scope == control.WAN {
				add(&h.WAN, moved)
			} else if h.Device == f.Device {
				add(&h.LAN, moved)
			}
		}
	}
}

// usage returns what packets of 1000 B moved.
func usage(up, down uint64) control.Usage {
	return control.Usage{
		UpBytes: up, DownBytes: down, UpPackets: up / 1000, DownPackets: down / 1000,
	}
}

func add(to *control.Usage, u control.Usage) {
	to.UpBytes += u.UpBytes
	to.DownBytes += u.DownBytes
	to.UpPackets += u.UpPackets
	to.DownPackets += u.DownPackets
}

// Change applies a function to the source's data.
func (s *Source) Change(change func(*control.Status, *[]control.Device, *[]control.Flow)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status, &s.homes, &s.flows)
}

// Fail makes all requests fail; with nil they succeed again.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// Asked returns the maxAge of each request for counters so far.
func (s *Source) Asked() []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// Status implements control.Source.
func (s *Source) Status(context.Context) (control.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Connections, status.Devices = len(s.flows), len(s.homes)
	return status, s.err
}

// Conditions implements control.Source.
func (s *Source) Conditions(context.Context) ([]condition.Condition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status.Conditions, s.err
}

// Devices implements control.Source.
func (s *Source) Devices(_ context.Context, maxAge time.Duration) (*control.Devices, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, maxAge)
	return &control.Devices{Read: s.read, Devices: slices.Clone(s.homes)}, s.err
}

// Flows implements control.Source.
func (s *Source) Flows(
	_ context.Context, device string, limit int, maxAge time.Duration,
) (*control.Flows, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, maxAge)
	if s.err != nil {
		return nil, s.err
	}
	wanted := func(*control.Flow) bool { return true }
	if device != "" {
		i := slices.IndexFunc(s.homes, func(d control.Device) bool { return d.Is(device) })
		if i < 0 {
			return nil, control.ErrNoDevice
		}
		wanted = func(f *control.Flow) bool { return f.Device == s.homes[i].Device }
	}
	answer := &control.Flows{Read: s.read, Interval: s.last.Seconds(), Flows: []control.Flow{}}
	for i := range s.flows {
		switch {
		case !wanted(&s.flows[i]):
		case len(answer.Flows) < limit:
			answer.Flows = append(answer.Flows, s.flows[i])
		default:
			answer.Omitted++
		}
	}
	return answer, nil
}

// longName is longer than any column.
const longName = "notebook-of-somebody-with-a-long-name"

func devices(read time.Time) []control.Device {
	mac := func(n int) string { return fmt.Sprintf("02:00:00:00:00:%02x", n) }
	return []control.Device{
		{
			Device: mac(1), Name: "smart-tv", MAC: mac(1), Vendor: "Example Electronics",
			Online: true, Addresses: []string{"192.0.2.122", "2001:db8::122"}, Connections: 2,
			FirstSeen: read.Add(-240 * time.Hour), LastSeen: read,
			WAN: usage(1_234e6, 34_100e6),
			LAN: usage(2e6, 1e6),
		},
		{
			Device: mac(2), Name: longName, MAC: mac(2), Online: true,
			Addresses: []string{"192.0.2.50"}, Connections: 3,
			FirstSeen: read.Add(-30 * time.Hour), LastSeen: read.Add(-time.Second),
			WAN: usage(90e6, 700e6),
			LAN: usage(5e9, 12e6),
		},
		{
			Device: "192.0.2.9", Addresses: []string{"192.0.2.9"},
			FirstSeen: read.Add(-90 * time.Minute), LastSeen: read.Add(-50 * time.Minute),
			WAN: usage(5000, 900),
		},
		{
			Device: "router", Name: "router", Online: true,
			Addresses:   []string{"192.0.2.1", "198.51.100.1"},
			Connections: 1, FirstSeen: read.Add(-240 * time.Hour), LastSeen: read,
			WAN: usage(2e6, 9e6),
		},
	}
}

func flows(read time.Time) []control.Flow {
	const tv, notebook = "02:00:00:00:00:01", "02:00:00:00:00:02"
	return []control.Flow{
		{
			ID: "000000000000000a", Device: tv, Name: "smart-tv", Protocol: "tcp",
			State: "established",
			Src:   "192.0.2.122", SrcPort: 40000, Dst: "203.0.113.7", DstPort: 443,
			PostSrc: "198.51.100.1", PostSrcPort: 40000,
			Input: "lan0", Output: "wan0", Scope: control.WAN, Start: read.Add(-3 * time.Hour),
			Usage:           usage(31e6, 2_100e6),
			UpBitsPerSecond: 160e3, DownBitsPerSecond: 24e6,
		},
		{
			ID: "000000000000000b", Device: notebook, Name: longName, Protocol: "tcp",
			State: "established",
			Src:   "192.0.2.50", SrcPort: 50000, Dst: "192.0.2.122", DstPort: 445,
			Input: "lan0", Output: "lan0", Scope: control.LAN, Start: read.Add(-5 * time.Minute),
			Usage:           usage(5e9, 12e6),
			UpBitsPerSecond: 8e6, DownBitsPerSecond: 40e3,
		},
		{
			ID: "000000000000000c", Device: notebook, Name: longName, Protocol: "udp",
			Src: "2001:db8::50", SrcPort: 50001, Dst: "2001:db8:1:2:3:4:5:6", DstPort: 443,
			Input: "lan0", Output: "wan0", Scope: control.WAN, Start: read.Add(-40 * time.Second),
			Usage:           usage(1e6, 8e6),
			UpBitsPerSecond: 200e3, DownBitsPerSecond: 1600e3,
		},
		{
			ID: "000000000000000d", Device: tv, Name: "smart-tv", Protocol: "udp",
			Src: "192.0.2.122", SrcPort: 5353, Dst: "192.0.2.1", DstPort: 53,
			Input: "lan0", Scope: control.LAN, Start: read.Add(-9 * time.Second),
			Usage: usage(120, 300),
		},
		{
			ID: "000000000000000e", Device: notebook, Name: longName, Protocol: "tcp",
			State:   "established",
			Inbound: true, Src: "203.0.113.99", SrcPort: 61000, Dst: "192.0.2.50", DstPort: 22,
			Input: "wan0", Output: "lan0", Scope: control.WAN, Start: read.Add(-26 * time.Hour),
			Usage: usage(80e6, 2e6),
		},
		{
			ID: "000000000000000f", Device: "router", Name: "router", Protocol: "udp",
			Src: "198.51.100.1", SrcPort: 123, Dst: "203.0.113.123", DstPort: 123,
			Output: "wan0", Scope: control.WAN, Start: read.Add(-20 * time.Second),
			Usage: usage(76, 76),
		},
	}
}
