package probe

import (
	"cmp"
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/conntally/conntally/cmd/conntally/monitor"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/account"
)

// usage makes the loop copy what is counted, for metrics and the control socket.
type usage struct {
	nameOf func(index uint32) string // the present name of an interface

	mu    sync.Mutex
	last  *account.Snapshot
	taken int64             // when the last one was, monotonic
	names map[uint32]string // of the interfaces in snapshots, those that are gone included
	// Interfaces that were shown without a name. They stay among the others: a counter must not
	// go down once a name is known.
	nameless map[uint32]bool
}

// learn remembers the names of a snapshot's interfaces: as they are now, or the last ones that
// were known. Accounts bound their number. The caller holds mu.
func (u *usage) learn(all []account.InterfaceUsage) {
	if u.names == nil {
		u.names, u.nameless = map[uint32]string{}, map[uint32]bool{}
	}
	for i := range all {
		one := &all[i]
		if one.Index == 0 || one.Index == account.OtherInterfaces {
			continue
		}
		name := cmp.Or(u.nameOf(one.Index), u.names[one.Index], one.Name)
		switch {
		case name != "":
			u.names[one.Index] = label(name)
		case one.Received+one.Sent > 0:
			u.nameless[one.Index] = true
		}
	}
}

// label makes the name of an interface UTF-8, as labels and JSON have to be: the kernel takes any.
func label(name string) string { return strings.ToValidUTF8(name, "?") }

// metricName returns what metrics call an interface, "" if they don't show it: index 0 is none.
func (u *usage) metricName(one *account.InterfaceUsage) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	other := one.Index == account.OtherInterfaces || u.nameless[one.Index]
	if other && one.Received+one.Sent > 0 {
		return "other"
	}
	return u.names[one.Index]
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
	p.usage.learn(p.usage.last.Interfaces)
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

// interfaceName returns the name of an interface, or the one that it had.
func (p *Probe) interfaceName(index uint32) string {
	if name := p.usage.nameOf(index); name != "" {
		return label(name)
	}
	p.usage.mu.Lock()
	defer p.usage.mu.Unlock()
	return p.usage.names[index]
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
	for i := range s.Interfaces {
		one := &s.Interfaces[i]
		name := p.usage.metricName(one)
		if name == "" {
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
