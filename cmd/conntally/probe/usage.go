package probe

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/account"
)

// maxNames bounds the names of interfaces that are remembered.
const maxNames = 8192

// usage makes the loop copy what is counted, for metrics and the control socket.
type usage struct {
	nameOf func(index uint32) string // the present name of an interface

	mu    sync.Mutex
	last  *account.Snapshot
	taken int64             // when the last one was, monotonic
	names map[uint32]string // of interfaces, those that are gone included
}

// snapshot returns what is counted by now, or the last snapshot if the loop is busy.
func (p *Probe) snapshot(ctx context.Context, maxAge time.Duration) (*account.Snapshot, error) {
	if s := p.recentSnapshot(maxAge); s != nil {
		return s, nil
	}
	answer := make(chan *account.Snapshot, 1)
	err := p.questions.ask(ctx, maxAge, func(conntrack.Timestamp) {
		read, _ := p.table.LastDump()
		answer <- p.accounts.Snapshot(read)
	})
	p.usage.mu.Lock()
	defer p.usage.mu.Unlock()
	if err != nil {
		if p.usage.last != nil {
			return p.usage.last, nil
		}
		return nil, err
	}
	p.usage.last, p.usage.taken = <-answer, p.clock().Mono
	return p.usage.last, nil
}

// snapshotLasts is how long a snapshot is reused: devices, flows and status are often asked
// for one after the other.
const snapshotLasts = 500 * time.Millisecond

// recentSnapshot returns the last snapshot if it has just been taken and its counters are new
// enough, else nil.
func (p *Probe) recentSnapshot(maxAge time.Duration) *account.Snapshot {
	now := p.clock().Mono
	p.usage.mu.Lock()
	defer p.usage.mu.Unlock()
	last := p.usage.last
	if last == nil || now-p.usage.taken >= int64(snapshotLasts) ||
		maxAge > 0 && now-last.Read.Mono > int64(maxAge) {
		return nil
	}
	return last
}

// describeDevice returns a device's name and the vendor of its Ethernet address, "" where
// they aren't known.
func (p *Probe) describeDevice(d *account.Device) (name, vendor string) {
	if d.ID.Kind == account.Other || d.ID.Kind == account.Router {
		return d.ID.String(), ""
	}
	name = d.Alias
	if p.names != nil {
		if name == "" {
			name = p.names.Name(d.MAC, d.Addresses)
		}
		vendor = p.names.Vendor(d.MAC)
	}
	return name, vendor
}

// interfaceName returns the name of an interface, or the one that it had. The kernel takes names
// that aren't UTF-8; labels and JSON have to be.
func (p *Probe) interfaceName(index uint32) string {
	name := strings.ToValidUTF8(p.usage.nameOf(index), "?")
	p.usage.mu.Lock()
	defer p.usage.mu.Unlock()
	if name == "" {
		return p.usage.names[index]
	}
	if p.usage.names == nil || len(p.usage.names) >= maxNames {
		p.usage.names = map[uint32]string{}
	}
	p.usage.names[index] = name
	return name
}

// metricsUsage returns what this run has counted, for metrics.
func (p *Probe) metricsUsage(devices bool) *monitor.Usage {
	s, err := p.snapshot(context.Background(), 0)
	if err != nil {
		return nil
	}
	return p.showUsage(s, devices)
}

func (p *Probe) showUsage(s *account.Snapshot, devices bool) *monitor.Usage {
	u := &monitor.Usage{}
	for i, bytes := range s.Traffic {
		u.Traffic = append(u.Traffic, monitor.TrafficUsage{
			Direction: account.Traffic(i).String(), Bytes: bytes,
		})
	}
	places := map[string]int{}
	for _, one := range s.Interfaces {
		name := p.interfaceName(one.Index)
		switch {
		case one.Index == account.OtherInterfaces && one.Received+one.Sent > 0:
			name = "other"
		case name == "":
			continue
		}
		at, known := places[name]
		if !known {
			at = len(u.Interfaces)
			places[name] = at
			u.Interfaces = append(u.Interfaces, monitor.InterfaceUsage{Name: name})
		}
		u.Interfaces[at].Received += one.Received
		u.Interfaces[at].Sent += one.Sent
	}
	if devices {
		for i := range s.Devices {
			u.Devices = append(u.Devices, p.deviceUsage(&s.Devices[i]))
		}
	}
	return u
}

func (p *Probe) deviceUsage(d *account.Device) monitor.DeviceUsage {
	u := monitor.DeviceUsage{
		Device: d.ID.String(), First: d.First, Last: d.Last,
		Connections: d.Connections, Online: d.Online, Addresses: joined(d.Addresses),
	}
	u.Name, u.Vendor = p.describeDevice(d)
	if d.HasMAC() {
		u.MAC = d.MAC.String()
	}
	for scope, recent := range d.Recent {
		u.Scopes = append(u.Scopes, monitor.ScopeUsage{
			Scope: account.Scope(scope).String(), Up: recent.Up, Down: recent.Down,
		})
	}
	return u
}

// maxLabelAddresses bounds the addresses in a label: each new one makes a new series.
const maxLabelAddresses = 8

func joined(all []netip.Addr) string {
	var b strings.Builder
	for i, a := range all[:min(len(all), maxLabelAddresses)] {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.String())
	}
	return b.String()
}
