package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/probe"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/account"
)

// savedDevices returns the devices that a probe has saved in its state directory.
func savedDevices(t *testing.T, directory string) *account.Snapshot {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(directory, probe.DevicesFile))
	if err != nil {
		t.Fatal(err)
	}
	all := account.New(account.Options{Devices: true, Max: 1 << 20})
	if err := all.Restore(text); err != nil {
		t.Fatal(err)
	}
	return all.Snapshot(conntrack.Timestamp{Wall: time.Now().UnixNano()})
}

// household groups devices that have had the same address one after another: the noise's
// hosts come back with another Ethernet address, of which the end stays.
func household(id account.ID) string {
	if id.Kind == account.ByMAC {
		return id.String()[len("02:00:00:00:"):]
	}
	return id.String()
}

// deviceLedger is what each device must have moved, as the router's rules saw it.
type deviceLedger struct {
	wan    int // ifIndex
	owners map[netip.Addr]string
	usage  map[string]*[2]account.Usage
	total  uint64
}

func newDeviceLedger(s *account.Snapshot, wan int) *deviceLedger {
	l := &deviceLedger{wan: wan, owners: map[netip.Addr]string{},
		usage: map[string]*[2]account.Usage{}}
	for i := range s.Devices {
		for _, a := range s.Devices[i].Addresses {
			if isBroadcast(a) {
				continue
			}
			l.owners[a] = household(s.Devices[i].ID)
		}
	}
	for _, a := range []string{
		lab.RouterLANIPv4, lab.RouterLANIPv6, lab.RouterWANIPv4, lab.RouterWANIPv6,
		lab.RouterGuestIPv4, lab.RouterGuestIPv6,
	} {
		l.owners[netip.MustParseAddr(a)] = "router"
	}
	return l
}

// isBroadcast reports whether an address is the broadcast address of one of the lab's networks.
func isBroadcast(a netip.Addr) bool { return a.Is4() && a.As4()[3] == 255 }

// add adds what passed one way.
func (l *deviceLedger) add(p lab.Passage, c lab.Count) {
	l.total += c.Bytes
	if (way{p.Proto, p.From, p.To, p.Input, p.Output}).unknowable() {
		return
	}
	moved := conntrack.Counters{Packets: c.Packets, Bytes: c.Bytes}
	scope := account.LAN
	if int(p.Input) == l.wan || int(p.Output) == l.wan {
		scope = account.WAN
	}
	if u := l.of(p.From.Addr(), p.Input); u != nil {
		u[scope].Up.Packets += moved.Packets
		u[scope].Up.Bytes += moved.Bytes
	}
	if u := l.of(p.To.Addr(), p.Output); u != nil {
		u[scope].Down.Packets += moved.Packets
		u[scope].Down.Bytes += moved.Bytes
	}
}

// of returns the usage of the device that an address belongs to, nil where it is no device's.
func (l *deviceLedger) of(a netip.Addr, index uint32) *[2]account.Usage {
	owner := l.owners[a]
	if owner == "" || owner != "router" && int(index) == l.wan {
		return nil
	}
	if l.usage[owner] == nil {
		l.usage[owner] = new([2]account.Usage)
	}
	return l.usage[owner]
}

// compareDevices compares what a probe has counted by device with what passed the router:
// exactly by uplinks and in total, and between devices as far as it is certain.
func compareDevices(t *testing.T, who, directory string, passed map[lab.Passage]lab.Count) {
	t.Helper()
	saved := savedDevices(t, directory)
	want := newDeviceLedger(saved, ordinaryWAN)
	for p, c := range passed {
		want.add(p, c)
	}
	total, got := uint64(0), map[string]*[2]account.Usage{}
	for i := range saved.Devices {
		d := &saved.Devices[i]
		u := &d.Usage
		total += u[account.WAN].Up.Bytes + u[account.WAN].Down.Bytes + u[account.LAN].Up.Bytes
		if d.ID.Kind == account.Other {
			continue
		}
		if slices.ContainsFunc(d.Addresses, isBroadcast) {
			t.Errorf("%s: %s has addresses %v: one is no host's", who, d.ID, d.Addresses)
		}
		name := household(d.ID)
		if got[name] == nil {
			got[name] = new([2]account.Usage)
		}
		for scope := range u {
			got[name][scope].Add(&u[scope])
		}
	}
	for name, u := range got {
		must := want.usage[name]
		if must == nil {
			must = new([2]account.Usage)
		}
		if u[account.WAN] != must[account.WAN] {
			t.Errorf("%s: %s by an uplink: %+v, want %+v", who, name, u[account.WAN],
				must[account.WAN])
		}
		lan, least := &u[account.LAN], &must[account.LAN]
		if lan.Up.Bytes < least.Up.Bytes || lan.Down.Bytes < least.Down.Bytes {
			t.Errorf("%s: %s between devices: %+v, want at least %+v", who, name, *lan, *least)
		}
	}
	if total != want.total {
		t.Errorf("%s: all devices have moved %d B, the router %d B", who, total, want.total)
	}
	if len(got) < 3 {
		t.Errorf("%s: %d devices", who, len(got))
	}
	t.Logf("%s: %d devices, %d B", who, len(got), total)
}

// TestDevicesAreExactOverChanges: between rounds of a LAN's ordinary traffic and noise the
// probe is restarted, devices get names and lose them by reloads, and a host gets another
// IPv6 address for each round. Each device's counters are those of the router's rules.
func TestDevicesAreExactOverChanges(t *testing.T) {
	t.Parallel()
	r := newOrdinaryRig(t, 77)
	sink, state := r.sink(), t.TempDir()
	enlarge(t, sink.conn)
	config := func(named string) string {
		return fmt.Sprintf("%s[flow]\nidle_timeout = \"1s\"\nstate_directory = %q\n"+
			"[conntrack]\npoll_interval = \"250ms\"\nmax_cpu = 100.0\n"+
			"[control]\nsocket = %q\n[metrics]\nlisten = %q\n%s",
			collectorSection(sink.Address()), state, filepath.Join(state, "control.sock"),
			faultMetrics, named)
	}
	file := configFile(t, config(""))
	p := &ordinaryProbe{rig: r.rig, metrics: faultMetrics}
	p.process = r.probe("--config", file)
	r.begin()
	changes := []func(){
		func() { // a restart
			r.stop(p.process)
			p.process = r.probe("--config", file)
		},
		func() { // names
			named := "[[device]]\nname = \"the client\"\nmac = [\"" + r.macOf(r.Client) +
				"\"]\naddress = [\"192.0.2.77\"]\n"
			p.reload(file, config(named))
		},
		func() { // another name
			named := "[[device]]\nname = \"laptop\"\nmac = [\"" + r.macOf(r.Client) + "\"]\n"
			p.reload(file, config(named))
		},
		func() { p.reload(file, config("")) },
		func() { // a restart
			r.stop(p.process)
			p.process = r.probe("--config", file)
		},
	}
	for i, change := range changes {
		r.round()
		r.privacyAddress(i + 1)
		change()
	}
	r.round()
	p.untilDumped()
	if err := r.Freeze(); err != nil {
		t.Fatal(err)
	}
	r.stop(p.process)
	passed, err := r.Observed()
	if err != nil {
		t.Fatal(err)
	}
	compareDevices(t, "over changes", state, passed)
}

// macOf returns a host's Ethernet address.
func (r *rig) macOf(host *lab.Namespace) (mac string) {
	r.t.Helper()
	err := host.Do(func() error {
		i, err := net.InterfaceByName(lab.HostInterface)
		if err == nil {
			mac = i.HardwareAddr.String()
		}
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return mac
}

// privacyAddress gives the client its n-th address of IPv6, and has it use that.
func (r *ordinaryRig) privacyAddress(n int) {
	r.t.Helper()
	from := netip.MustParseAddr(fmt.Sprintf("2001:db8:77::a:%d", n))
	err := r.Client.IP(fmt.Sprintf("addr add %s/64 dev %s nodad", from, lab.HostInterface))
	if err != nil {
		r.t.Fatal(err)
	}
	// Not TCP: conntrack doesn't count the repetition of a SYN, which may come before the
	// router has found the new neighbour.
	to := netip.AddrPortFrom(netip.MustParseAddr(lab.ServerIPv6), lab.PortAnswer)
	f := lab.UDPFlow{Family: unix.AF_INET6, Packets: 10 * n, Size: 100 * n, Answered: true}
	f.Ends = &lab.Ends{Host: r.Client, From: from, To: to}
	if err := r.UDP(r.ctx, f); err != nil {
		r.t.Fatal(err)
	}
}

// reload replaces the configuration and waits until that is in force.
func (p *ordinaryProbe) reload(file, text string) {
	p.t.Helper()
	const reloads = "config_reloads_total"
	before := p.rig.scrapeAt(p.metrics)[reloads]
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	for p.rig.scrapeAt(p.metrics)[reloads] == before {
		if p.rig.ctx.Err() != nil {
			p.t.Fatalf("no reload:\n%s", p)
		}
	}
}
