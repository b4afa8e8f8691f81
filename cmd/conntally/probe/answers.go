package probe

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/print"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
	"github.com/conntally/conntally/flow/account"
)

// answers is a control.Source: other goroutines ask it about the probe.
type answers struct{ *Probe }

// Source returns what answers questions about the probe while it runs.
func (p *Probe) Source() control.Source { return answers{p} }

// Conditions implements control.Source.
func (p answers) Conditions(context.Context) ([]condition.Condition, error) {
	return p.conditions.Snapshot(), nil
}

// Status implements control.Source.
func (p answers) Status(ctx context.Context) (control.Status, error) {
	snapshot, err := p.snapshot(ctx, 0)
	if err != nil {
		return control.Status{}, err
	}
	now := p.clock()
	s := control.Status{
		Version:      p.options.Version,
		Uptime:       time.Duration(now.Wall - p.began).Seconds(),
		PollInterval: time.Duration(p.Stats.Interval.Load()).Seconds(),
		Connections:  int(p.table.Stats.Flows.Load()), Devices: len(snapshot.Devices),
		Conditions: p.conditions.Snapshot(), Collectors: []control.Collector{},
	}
	source := p.source.Load()
	s.Source, s.SourceStep, s.SourceReason = source.describe()
	s.Dumps, s.DumpsReason = source.describeDumps()
	for _, c := range *p.collectors.Load() {
		one := control.Collector{
			Address: c.Config.Address, Protocol: c.Config.Protocol.String(),
			Records: c.Stats.Records.Load(), Datagrams: c.Stats.Messages.Load(),
			Dropped: c.Stats.Dropped.Load(),
		}
		for i := range s.Conditions {
			held := &s.Conditions[i]
			if held.ID == condition.CollectorFails && held.Subject == collectorSubject(c) {
				one.Error = held.Detail
			}
		}
		s.Collectors = append(s.Collectors, one)
	}
	return s, nil
}

// Devices implements control.Source.
func (p answers) Devices(ctx context.Context, maxAge time.Duration) (*control.Devices, error) {
	s, err := p.snapshot(ctx, maxAge)
	if err != nil {
		return nil, err
	}
	all := &control.Devices{Read: time.Unix(0, s.Read.Wall), Devices: []control.Device{}}
	for i := range s.Devices {
		all.Devices = append(all.Devices, p.controlDevice(&s.Devices[i]))
	}
	return all, nil
}

func (p answers) controlDevice(d *account.Device) control.Device {
	out := control.Device{
		Device: d.ID.String(), Online: d.Online, FirstSeen: d.First, LastSeen: d.Last,
		Connections: d.Connections, Addresses: []string{},
		WAN: controlUsage(&d.Usage[account.WAN]), LAN: controlUsage(&d.Usage[account.LAN]),
	}
	out.Name, out.Vendor = p.describeDevice(d)
	if d.HasMAC() {
		out.MAC = d.MAC.String()
	}
	for _, a := range d.Addresses {
		out.Addresses = append(out.Addresses, a.String())
	}
	return out
}

func controlUsage(u *account.Usage) control.Usage {
	return control.Usage{
		UpBytes: u.Up.Bytes, DownBytes: u.Down.Bytes,
		UpPackets: u.Up.Packets, DownPackets: u.Down.Packets,
	}
}

// living is a connection as the loop has copied it.
type living struct {
	flow.Connection
	ids      [2]account.ID
	isDevice [2]bool
	scope    account.Scope
}

func (l *living) total() uint64 { return l.Counters[0].Bytes + l.Counters[1].Bytes }

// byRate orders the fastest first, then the largest.
func byRate(a, b living) int {
	return cmp.Or(
		cmp.Compare(b.Moved[0]+b.Moved[1], a.Moved[0]+a.Moved[1]),
		cmp.Compare(b.total(), a.total()), cmp.Compare(a.ID, b.ID))
}

// Flows implements control.Source.
func (p answers) Flows(
	ctx context.Context, device string, limit int, maxAge time.Duration,
) (*control.Flows, error) {
	s, err := p.snapshot(ctx, maxAge)
	if err != nil {
		return nil, err
	}
	names, wanted := map[account.ID]string{}, map[account.ID]bool{}
	for i := range s.Devices {
		id, d := s.Devices[i].ID, p.controlDevice(&s.Devices[i])
		names[id] = d.Name
		if device != "" && d.Is(device) {
			wanted[id] = true
		}
	}
	if device != "" && len(wanted) == 0 {
		return nil, control.ErrNoDevice
	}
	found := make(chan *connections, 1)
	err = p.questions.ask(ctx, 0, func(now conntrack.Timestamp) {
		found <- p.connections(now, wanted, limit)
	})
	if err != nil {
		return nil, err
	}
	c := <-found
	out := &control.Flows{
		Read: time.Unix(0, c.read.Wall), Interval: c.interval.Seconds(),
		Omitted: c.omitted, Flows: []control.Flow{},
	}
	for i := range c.all {
		out.Flows = append(out.Flows, p.controlFlow(&c.all[i], wanted, names, c.interval))
	}
	return out, nil
}

// connections are those that were asked for, at one reading.
type connections struct {
	all      []living
	omitted  int
	read     conntrack.Timestamp
	interval time.Duration
}

// connections copies at most limit connections of some devices, or of all. Only the loop may
// call it.
func (p *Probe) connections(
	now conntrack.Timestamp, wanted map[account.ID]bool, limit int,
) *connections {
	read, interval := p.table.LastDump()
	c := &connections{read: read, interval: time.Duration(interval)}
	total := 0
	p.table.Connections(now, func(one *flow.Connection) {
		l := living{Connection: *one}
		l.ids, l.isDevice, l.scope = p.accounts.DeviceOf(one.Slot)
		if len(wanted) > 0 && l.side(wanted) < 0 {
			return
		}
		total++
		if c.all = append(c.all, l); len(c.all) >= 2*limit {
			slices.SortFunc(c.all, byRate)
			c.all = c.all[:limit]
		}
	})
	slices.SortFunc(c.all, byRate)
	c.all = c.all[:min(limit, len(c.all))]
	c.omitted = total - len(c.all)
	return c
}

// side returns which end is one of the wanted devices, or any device if none is wanted: 0 is
// the end that opened the connection, 1 is the other, -1 means neither.
func (l *living) side(wanted map[account.ID]bool) int {
	for d := range l.ids {
		if l.isDevice[d] && (len(wanted) == 0 || wanted[l.ids[d]]) {
			return d
		}
	}
	return -1
}

func (p answers) controlFlow(
	l *living, wanted map[account.ID]bool, names map[account.ID]string, interval time.Duration,
) control.Flow {
	orig, reply := &l.Orig, &l.Reply
	f := control.Flow{
		ID: strconv.FormatUint(l.ID, 16), Protocol: print.Protocol(orig.Proto),
		Src: orig.Src.Netip().String(), SrcPort: orig.SrcPort,
		Dst: reply.Src.Netip().String(), DstPort: reply.SrcPort,
		Input:  p.interfaceName(l.Path[conntrack.Original].Index()),
		Output: p.interfaceName(l.Path[conntrack.Reply].Index()),
		Scope:  l.scope.String(), Start: time.Unix(0, l.Start),
		State: tcpState(orig.Proto, l.State),
	}
	if reply.Dst != orig.Src || reply.DstPort != orig.SrcPort {
		f.PostSrc, f.PostSrcPort = reply.Dst.Netip().String(), reply.DstPort
	}
	if orig.IsICMP() || orig.Proto == conntrack.ProtoGRE {
		f.SrcPort, f.DstPort, f.PostSrcPort = 0, 0, 0
	}
	side := l.side(wanted)
	f.Inbound = side == 1
	side = max(side, 0)
	if l.isDevice[side] {
		f.Device = l.ids[side].String()
		f.Name = names[l.ids[side]]
	}
	up, down := &l.Counters[side], &l.Counters[1-side]
	f.Usage = control.Usage{
		UpBytes: up.Bytes, DownBytes: down.Bytes, UpPackets: up.Packets, DownPackets: down.Packets,
	}
	if interval > 0 {
		f.UpBitsPerSecond = 8 * float64(l.Moved[side]) / interval.Seconds()
		f.DownBitsPerSecond = 8 * float64(l.Moved[1-side]) / interval.Seconds()
	}
	return f
}

// tcpState returns the name of a state, as the kernel's /proc/net/nf_conntrack has it, in
// lower case.
func tcpState(proto, state uint8) string {
	names := [...]string{
		"", "syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack",
		"time_wait", "close", "syn_sent2",
	}
	if proto != conntrack.ProtoTCP || int(state) >= len(names) {
		return ""
	}
	return names[state]
}
