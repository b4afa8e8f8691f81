package collect

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
	"github.com/conntally/conntally/flow/host"
)

// machine is a fake of the machine that conntally-history runs on.
type machine struct {
	local      map[netip.Addr]bool
	neighbours map[netip.Addr]host.MAC
	inside     map[netip.Addr]bool
}

func (m *machine) Local(a *conntrack.Addr) bool { return m.local[a.Netip()] }
func (m *machine) Broadcast(a *conntrack.Addr) bool {
	return a.Netip() == addr("192.168.1.127")
}
func (m *machine) Inside(a *conntrack.Addr) bool { return m.inside[a.Netip()] }
func (m *machine) MAC(a *conntrack.Addr, _ uint32) host.MAC {
	return m.neighbours[a.Netip()]
}

// names is a fake of what devices are called, by MAC.
type names map[host.MAC]string

func (n names) Name(mac host.MAC, _ []netip.Addr) string { return n[mac] }
func (n names) Vendor(mac host.MAC) string {
	if n[mac] == "" {
		return ""
	}
	return "Maker of " + n[mac]
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func mac(n byte) host.MAC { return host.MAC{2, 0, 0, 0, 0, n} }

// fixture is a Collector with a clock that the test sets.
type fixture struct {
	*Collector
	t       testing.TB
	machine *machine
	names   names
	now     time.Time
	next    map[usage.Exporter]uint32
	written usage.Batch // all batches that were taken
}

func newFixture(t testing.TB, change ...func(*Options)) *fixture {
	f := &fixture{
		t: t, names: names{}, now: at("2026-11-30T12:30:00Z"), next: map[usage.Exporter]uint32{},
		machine: &machine{
			map[netip.Addr]bool{}, map[netip.Addr]host.MAC{}, map[netip.Addr]bool{},
		},
	}
	o := Options{
		Calendar: usage.Calendar{Location: time.UTC}, Max: 100, DestinationInterval: time.Hour,
		Machine: f.machine, Names: f.names,
	}
	for _, c := range change {
		c(&o)
	}
	f.Collector = New(o, nil, nil)
	f.written = empty()
	return f
}

func empty() usage.Batch {
	return usage.Batch{
		Hours:        map[usage.DeviceHour]usage.Usage{},
		Destinations: map[usage.Destination]usage.DestinationUsage{},
		Exporters:    map[usage.ExporterHour]usage.Intake{},
		Sequences:    map[usage.Exporter]usage.Sequence{},
	}
}

// send passes records on in one message of an exporter.
func (f *fixture) send(from string, flows ...decode.Flow) {
	f.t.Helper()
	m := &decode.Message{
		Exporter: netip.MustParseAddrPort(from), Version: 10, ExportTime: f.now,
		DataRecords: len(flows), Units: uint32(len(flows)), Flows: flows,
	}
	k := usage.Exporter{Address: m.Exporter.Addr(), Version: 10}
	m.Sequence = f.next[k]
	f.next[k] += uint32(len(flows))
	f.Handle(m, nil, f.now)
}

// take takes all that is pending, as the store would write it.
func (f *fixture) take() *usage.Batch {
	b := f.Take(f.now, true)
	write(&f.written, b)
	return b
}

// write writes a batch as the store does.
func write(to, b *usage.Batch) {
	for _, m := range b.Merges {
		for k, u := range maps.Clone(to.Hours) {
			if k.Device == m.From {
				delete(to.Hours, k)
				k.Device = m.Into
				sum := to.Hours[k]
				sum.Add(u)
				to.Hours[k] = sum
			}
		}
		for k, u := range maps.Clone(to.Destinations) {
			if k.Device == m.From {
				delete(to.Destinations, k)
				k.Device = m.Into
				to.Destinations[k] = join(to.Destinations[k], u)
			}
		}
	}
	for k, u := range b.Hours {
		sum := to.Hours[k]
		sum.Add(u)
		to.Hours[k] = sum
	}
	for k, u := range b.Destinations {
		to.Destinations[k] = join(to.Destinations[k], u)
	}
	for k, i := range b.Exporters {
		sum := to.Exporters[k]
		sum.Add(i)
		to.Exporters[k] = sum
	}
	maps.Copy(to.Sequences, b.Sequences)
}

// byDevice adds up hours by device.
func byDevice(b *usage.Batch) map[string]usage.Usage {
	all := map[string]usage.Usage{}
	for k, u := range b.Hours {
		sum := all[k.Device]
		sum.Add(u)
		all[k.Device] = sum
	}
	return all
}

// destinationsByDevice adds up destinations by device.
func destinationsByDevice(b *usage.Batch) map[string]usage.Usage {
	all := map[string]usage.Usage{}
	for k, u := range b.Destinations {
		sum := all[k.Device]
		sum.Add(u.Usage)
		all[k.Device] = sum
	}
	return all
}

// counts returns usage by device in one line each, WAN up and down and LAN up and down.
func counts(b *usage.Batch) map[string]string {
	all := map[string]string{}
	for id, u := range byDevice(b) {
		all[id] = fmt.Sprint(u.WAN.UpBytes, u.WAN.DownBytes, u.LAN.UpBytes, u.LAN.DownBytes)
	}
	return all
}

func (f *fixture) expect(want map[string]string) {
	f.t.Helper()
	b := f.take()
	if got := counts(b); !maps.Equal(got, want) {
		f.t.Errorf("\n got %v\nwant %v", got, want)
	}
	if d, h := destinationsByDevice(b), byDevice(b); !maps.Equal(d, h) {
		f.t.Errorf("by destination %v, by device %v", d, h)
	}
}

// a flow of an exporter without interfaces.
func plain(src, dst string, bytes uint64) decode.Flow {
	return decode.Flow{Src: addr(src), Dst: addr(dst), SrcPort: 40000, DstPort: 443, Protocol: 6,
		Bytes: bytes, Packets: 1}
}

// by adds interfaces.
func by(f decode.Flow, input, output uint32, direction uint8) decode.Flow {
	f.Input, f.Output, f.Direction = input, output, direction
	return f
}

// back is the other direction.
func back(f decode.Flow, bytes uint64) decode.Flow {
	f.Src, f.Dst, f.SrcPort, f.DstPort = f.Dst, f.Src, f.DstPort, f.SrcPort
	f.Input, f.Output, f.Bytes, f.Direction = f.Output, f.Input, bytes, 0
	f.SrcMAC, f.DstMAC = f.DstMAC, f.SrcMAC
	return f
}
