package check

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/internal/checklist"
	"github.com/conntally/conntally/conntrack/bpf"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// good returns the state of a machine that passes every check.
func good() *State {
	setting := func(name string) kernel.Setting {
		return kernel.Setting{Name: "net.netfilter.nf_conntrack_" + name, Want: 1, Was: 1}
	}
	return &State{
		Requirements: Requirements{
			ReceiveBuffer: 16 << 20, Leases: []string{"auto"}, Interfaces: []string{"eth0"},
			Command: "conntally check --config /etc/conntally.toml",
		},
		Kernel: &condition.Kernel{
			Settings: []kernel.Setting{setting("acct"), setting("timestamp"), setting("events")},
			Entries:  1000, Max: 262144, Tracked: condition.TrackingOn,
			Clock: condition.Clock{Now: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Synced: true},
		},
		Release: "6.1.0-49-amd64", Root: true,
		EndEvent: &EndEvent{Reported: true},
		BPF:      &BPF{Step: bpf.Fentry},
		Dump:     &Dump{EntryStats: kernel.EntryStats{Entries: 1000}},
		Buffer:   &Buffer{Granted: 16 << 20},
		Collectors: []CollectorResult{{
			CollectorConfig: export.CollectorConfig{Address: "192.0.2.10:2055",
				Protocol: export.IPFIX},
			To: netip.MustParseAddrPort("192.0.2.10:2055"),
		}},
	}
}

// outcome is the result that a change of the good state leads to.
type outcome struct {
	name   string // of the check
	status Status // "" if there is no result
	text   string // part of the result's
	fix    string
	change func(*State)
}

func outcomes() []outcome {
	return slices.Concat(moduleOutcomes(), settingOutcomes(), countingOutcomes(), tableOutcomes(),
		listenerOutcomes(), collectorOutcomes())
}

// The settings of the good state, in its order.
const (
	acctSetting = iota
	timestampSetting
	eventsSetting
)

func was(setting, value int) func(*State) {
	return func(f *State) { f.Settings[setting].Was = value }
}

func readOnly(setting, value int) func(*State) {
	return func(f *State) { was(setting, value)(f); f.Settings[setting].ReadOnly = true }
}

func bpfError(err error) func(*State) { return func(f *State) { f.BPF = &BPF{Err: err} } }

func answer(err error) func(*State) { return func(f *State) { f.Answer = err } }

func kernelRelease(s string) func(*State) { return func(f *State) { f.Release = s } }

// asUser is the change to a user without rights.
func asUser(f *State) {
	f.Root, f.Answer, f.Tracked = false, unix.EPERM, 0
	f.EndEvent, f.Dump, f.Buffer = nil, nil, nil
}

// unload is the change to a kernel without conntrack.
func unload(f *State) {
	*f = State{
		Release: f.Release, Root: true, Collectors: f.Collectors,
		Kernel: &condition.Kernel{Loaded: fs.ErrNotExist, Clock: f.Clock},
	}
}

// moduleOutcomes are of the kernel, its modules and rights.
func moduleOutcomes() []outcome {
	return []outcome{
		{"kernel", OK, "Linux 6.1.0-49-amd64", "", nil},
		{"kernel", OK, "Linux 5.14.0", "", kernelRelease("5.14.0")},
		{"kernel", Warn, "expired", "", kernelRelease("5.13.19")},
		{"kernel", Warn, "expired", "", kernelRelease("5.11.0")},
		{"kernel", Warn, "TCP flags", "", kernelRelease("5.10.200")},
		{"kernel", Warn, "TCP flags", "", kernelRelease("5.4.0-rc1")},
		{"kernel", Warn, "older than", "", kernelRelease("4.19.300")},
		{"kernel", Warn, "not a Linux version", "", kernelRelease("")},
		{"kernel", OK, "Linux 10.0", "", kernelRelease("10.0")},

		{"modules", OK, "nf_conntrack_netlink are loaded", "", nil},
		{"modules", Fail, "nf_conntrack is not loaded", "modprobe nf_conntrack_netlink", unload},
		{"modules", Fail, "nf_conntrack_netlink is not loaded", "modprobe nf_conntrack_netlink",
			answer(kernel.ErrNotLoaded)},
		{"modules", Fail, "doesn't answer: i/o timeout", "", answer(os.ErrDeadlineExceeded)},
		{"modules", OK, "nf_conntrack is loaded", "", asUser},

		{"rights", OK, "CAP_NET_ADMIN is granted", "", nil},
		{"rights", Warn,
			"no CAP_NET_ADMIN: tracking, counters, offload, buffer and the test of events " +
				"can't be checked",
			"sudo conntally check --config /etc/conntally.toml", asUser},
		{"rights", Warn, "the container", "", answer(unix.EPERM)},
		{"rights", "", "", "", answer(kernel.ErrNotLoaded)},
		{"rights", "", "", "", unload},
	}
}

// settingOutcomes are of settings and tracking.
func settingOutcomes() []outcome {
	return []outcome{
		{"acct", OK, "counted", "", nil},
		{"acct", Warn, "no packets or bytes are counted; conntally run turns it on",
			"sysctl -w net.netfilter.nf_conntrack_acct=1", was(acctSetting, 0)},
		{"acct", Fail, "nf_conntrack_acct is 0", "sysctl -w net.netfilter.nf_conntrack_acct=1",
			readOnly(acctSetting, 0)},
		{"acct", Warn, "nf_conntrack_acct is 0", "sudo sysctl -w net.netfilter.nf_conntrack_acct=1",
			func(f *State) { asUser(f); f.Settings[acctSetting].Was = 0 }},
		{"acct", Fail, "can't be read", "",
			func(f *State) { f.Settings[acctSetting].Err = fs.ErrPermission }},
		{"acct", "", "", "", unload},
		{"timestamp", OK, "begin and end", "", nil},
		{"timestamp", Warn, "first seen; conntally run turns it on",
			"sysctl -w net.netfilter.nf_conntrack_timestamp=1", was(timestampSetting, 0)},
		{"timestamp", Warn, "first seen", "sysctl -w net.netfilter.nf_conntrack_timestamp=1",
			readOnly(timestampSetting, 0)},
		{"timestamp", "", "", "", unload},
		{"events", OK, "its end was reported", "", nil},
		{"events", Fail, "its end was not reported", "",
			func(f *State) { f.EndEvent.Reported = false }},
		{"events", OK, "are reported; this can't be tested: loopback", "",
			func(f *State) { f.EndEvent = &EndEvent{Err: kernel.ErrNotTracked} }},
		{"events", OK, "nf_conntrack_events is on: ends of connections are reported", "", asUser},
		{"events", Warn, "doesn't report ends of connections; conntally run turns it on",
			"sysctl -w net.netfilter.nf_conntrack_events=1", was(eventsSetting, 0)},
		{"events", Fail, "doesn't report ends", "sysctl -w net.netfilter.nf_conntrack_events=1",
			readOnly(eventsSetting, 0)},
		{"events", Warn,
			"nf_conntrack_events is 2", "sysctl -w net.netfilter.nf_conntrack_events=1",
			was(eventsSetting, 2)},
		{"events", OK, "doesn't matter", "",
			func(f *State) { f.Settings = f.Settings[:eventsSetting] }},
		{"events", "", "", "", unload},
		{"source", OK, "can be read by eBPF (fentry)", "", nil},
		{"source", Warn, "dumped by netlink", "", func(f *State) {
			f.BPF.WalkErr = bpf.ErrNoTable
		}},
		{"source", "", "", "", func(f *State) { f.BPF = nil }},
		{"source", Warn, "CONFIG_DEBUG_INFO_BTF", "", bpfError(bpf.ErrNoBTF)},
		{"source", Warn, "CONFIG_DEBUG_INFO_BTF_MODULES", "", bpfError(bpf.ErrNoModuleBTF)},
		{"source", Warn, "CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN: grant them", "",
			bpfError(bpf.ErrRights)},
		{"source", Warn, "nf_conntrack is not loaded", condition.Modprobe,
			bpfError(bpf.ErrNotLoaded)},
		{"source", Warn, "5.17", "", bpfError(bpf.ErrNoFunction)},

		{"tracking", OK, "are tracked", "", nil},
		{"tracking", Fail, "no rule", kernel.TrackRule,
			func(f *State) { f.Tracked, f.Entries = condition.TrackingOff, 0 }},
		{"tracking", Warn,
			"1000 connections are in the table: either a rule exempts loopback", kernel.TrackRule,
			func(f *State) { f.Tracked = condition.TrackingDoubted }},
		{"tracking", OK, "conntally will", "",
			func(f *State) { f.Tracked, f.Requirements.Track = condition.TrackingOff, true }},
		{"tracking", Warn, "can't be tested", "",
			func(f *State) { f.Tracked = condition.TrackingUnknown }},
		{"tracking", "", "", "", asUser},
	}
}

// countingOutcomes are of counters and offloading.
func countingOutcomes() []outcome {
	return []outcome{
		{"counters", OK, "0 of 1000", "", nil},
		{"counters", Warn,
			"connections that began before nf_conntrack_acct=1 are not counted (12 of 1000); wait", "",
			func(f *State) { f.Dump.Uncounted = 12 }},
		{"counters", Fail, "can't be read", "", func(f *State) { f.Dump.Err = unix.EBUSY }},
		{"counters", "", "", "",
			func(f *State) { f.Dump.Uncounted, f.Settings[acctSetting].Was = 12, 0 }},
		{"counters", "", "", "", asUser},

		{"offload", OK, "no connection", "", nil},
		{"offload", OK, "5 connections are offloaded, and counted", "", offloaded(5, 1)},
		{"offload", OK, "1 connection is offloaded, and counted", "", offloaded(1, 1)},
		{"offload", Warn, "the counters of offloaded connections don't change (5 of them)", "",
			offloaded(5, 0)},
		{"offload", Fail, "filter fast: flowtable without counter",
			`nft add flowtable inet filter fast "{ hook ingress priority 5; counter; }"`,
			flowtables(kernel.Flowtable{Family: 1, Table: "filter", Name: "fast", Priority: 5})},
		{"offload", Fail, "filter fast: flowtable without counter",
			`nft add flowtable inet filter fast "{ hook ingress priority 0; counter; }"`,
			func(f *State) {
				flowtables(kernel.Flowtable{Family: 1, Table: "filter", Name: "fast"})(f)
				offloaded(5, 0)(f) // which is no other fault
			}},
		{"offload", OK, "no connection", "",
			flowtables(kernel.Flowtable{Family: 1, Table: "filter", Name: "fast", Counter: true})},
		{"offload", Fail, "c d: flowtable without counter",
			`nft add flowtable ip6 c d "{ hook ingress priority -1; counter; }"`,
			flowtables(kernel.Flowtable{Family: 2, Table: "a", Name: "b"},
				kernel.Flowtable{Family: 10, Table: "c", Name: "d", Priority: -1})},
		{"offload", Fail, "c d: flowtable",
			`sudo nft add flowtable ip6 c d "{ hook ingress priority 0; flags offload; counter; }"`,
			func(f *State) {
				flowtables(kernel.Flowtable{Family: 10, Table: "c", Name: "d", Hardware: true})(f)
				f.Root = false
			}},
		{"offload", Fail,
			"$(reboot) x: flowtable without counter: the traffic it forwards is not counted; add " +
				"counter; to the", "",
			flowtables(kernel.Flowtable{Family: 1, Table: "$(reboot)", Name: "x"})},
		{"offload", "", "", "", func(f *State) { f.Dump.Err = unix.EBUSY }},
	}
}

// tableOutcomes are of bridges, the connection table and the receive buffer.
func tableOutcomes() []outcome {
	return []outcome{
		{"bridge", OK, "doesn't see frames that are only bridged", "", nil},
		{"bridge", Warn, "conntrack sees frames that are only bridged",
			"sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0",
			func(f *State) { f.BridgeNetfilter = true }},
		{"bridge", "", "", "", unload},

		{"filters", OK, "are there", "", nil},
		{"filters", "", "", "", func(f *State) { f.Requirements.Interfaces = nil }},
		{"filters", Warn, "eth9: a filter names an interface that isn't there; ip -br link", "",
			func(f *State) { f.Filters = []condition.Condition{{ID: condition.FilterInterface, Subject: "eth9"}} }},

		{"table", OK, "1000 of at most 262144 connections", "", nil},
		{"table", OK, "799 of at most", "", func(f *State) { f.Entries, f.Max = 799, 1000 }},
		{"table", Warn, "(800 of 1000 connections, 80 %)",
			"sysctl -w net.netfilter.nf_conntrack_max=2000",
			func(f *State) { f.Entries, f.Max = 800, 1000 }},
		{"table", "", "", "", func(f *State) { f.Max = 0 }},
		{"table", OK, "262144 hash buckets are far more than they need: whatever lists them all, " +
			"such as conntrack -L, holds up one core and its packets for some 3 to 11 ms. " +
			"Smaller: sysctl -w net.netfilter.nf_conntrack_buckets=16384; permanently: options " +
			"nf_conntrack hashsize=16384 in /etc/modprobe.d", "",
			func(f *State) { f.Buckets = 262144 }},
		{"table", OK, "65536 hash buckets are far more", "",
			func(f *State) { f.Buckets = 65536 }},
		{"table", OK, "sysctl -w net.netfilter.nf_conntrack_buckets=32768", "",
			func(f *State) { f.Buckets, f.Entries = 262144, 4096 }},
		{"table", OK, "4097 of at most 262144 connections", "",
			func(f *State) { f.Buckets, f.Entries = 262144, 4097 }},
		{"table", OK, "0 of at most 262144 connections", "",
			func(f *State) { f.Buckets, f.Entries = 32768, 0 }},
		{"table", "", "", "", unload},

		{"table", OK, "1000 of at most 262144 connections", "",
			func(f *State) {
				f.Statistics = &kernel.Statistics{InsertFailed: 3, Invalid: 4,
					SearchRestart: 5}
			}},
		{"table", Warn, "(drop 0, early_drop 2, insert_failed 3, search_restart 0)", "",
			func(f *State) { f.Statistics = &kernel.Statistics{EarlyDrop: 2, InsertFailed: 3} }},
		{"table", Warn, "(drop 1, early_drop 0, insert_failed 0, search_restart 5)", "",
			func(f *State) { f.Statistics = &kernel.Statistics{Drop: 1, SearchRestart: 5} }},

		{"buffer", OK, "16 MiB: holds 26214 events", "", nil},
		{"buffer", Warn, "smaller than receive_buffer (208 KiB of 16 MiB: holds 332 events)",
			"sysctl -w net.core.rmem_max=16777216",
			func(f *State) { f.Buffer.Granted = 212992 }},
		{"buffer", Warn, "(1000 B of 16 MiB: holds 1 events)",
			"sysctl -w net.core.rmem_max=16777216",
			func(f *State) { f.Buffer.Granted = 1000 }},
		{"buffer", Warn, "can't be tested", "", func(f *State) { f.Buffer.Err = unix.EMFILE }},
		{"buffer", "", "", "", asUser},
	}
}

// listenerOutcomes are of other programs and the clock.
func listenerOutcomes() []outcome {
	return []outcome{
		{"listeners", OK, "no other program", "", nil},
		{"listeners", OK, "conntally runs (pid 7)", "",
			listening(kernel.Subscriber{PID: 7, Program: "conntally", Reliable: true})},
		{"listeners", OK, "conntally runs (pid 7)", "",
			listening(kernel.Subscriber{PID: 7, Program: "conntally"},
				kernel.Subscriber{PID: 7, Program: "conntally"})},
		{"listeners", Warn, "conntally runs 3 times", "kill 8 9",
			listening(kernel.Subscriber{PID: 9, Program: "conntally"},
				kernel.Subscriber{PID: 7, Program: "conntally"},
				kernel.Subscriber{PID: 8, Program: "conntally"})},
		{"listeners", OK, "ulogd (pid 3) listens, too", "",
			listening(kernel.Subscriber{PID: 3, Program: "ulogd"})},
		{"listeners", OK, "a program listens, too", "", listening(kernel.Subscriber{})},
		{"listeners", OK, "ulogd (pid 3), a program listens, too", "",
			listening(kernel.Subscriber{PID: 3, Program: "ulogd"}, kernel.Subscriber{},
				kernel.Subscriber{PID: 3, Program: "ulogd"})},
		{"listeners", Warn, "conntrackd (pid 4), a program uses reliable", "",
			listening(kernel.Subscriber{PID: 4, Program: "conntrackd", Reliable: true},
				kernel.Subscriber{Reliable: true}, kernel.Subscriber{PID: 3, Program: "ulogd"})},
		{"listeners", Fail,
			"resets the counters: traffic since the last poll is lost (nlbwmon (pid 5))", "",
			func(f *State) { f.Zeroing = []string{"nlbwmon (pid 5)"} }},
		{"listeners", "", "", "", unload},

		{"clock", OK, "is synchronised", "", nil},
		{"clock", Warn, "isn't synchronised: flows may have wrong times; run chrony", "",
			func(f *State) { f.Clock.Synced = false }},
		{"clock", Warn, "isn't synchronised", "timedatectl set-ntp true",
			func(f *State) { f.Clock.Synced, f.Clock.NTPUnit = false, true }},
		{"clock", Fail, "never set: all flows have wrong times (it says 2019-12-31)",
			"timedatectl set-ntp true",
			func(f *State) {
				f.Clock.Now, f.Clock.NTPUnit = time.Date(2019, 12, 31, 0, 0, 0, 0,
					time.UTC), true
			}},
	}
}

// collectorOutcomes are of collectors.
func collectorOutcomes() []outcome {
	return []outcome{
		{"collector", "", "", "",
			func(f *State) { f.Collectors, f.Requirements.Collectors = nil, nil }},
		{"collector", Warn, "no collector is configured", "",
			func(f *State) { f.Collectors, f.Requirements.File = nil, true }},
		{"collector", OK, "192.0.2.10:2055, ipfix: no ICMP error", "", nil},
		{"collector", OK, "flows.example:2055 (192.0.2.10:2055), ipfix: no ICMP error", "",
			func(f *State) { f.Collectors[0].Address = "flows.example:2055" }},
		{"collector", Fail, "can't be resolved: no such host", "",
			unreachable(&net.OpError{Op: "dial",
				Err: &net.DNSError{Err: "no such host", Name: "flows.example"}})},
		{"collector", Fail, "no route", "", unreachable(failed("dial", unix.ENETUNREACH))},
		{"collector", Fail, "no route", "", unreachable(failed("dial", unix.EHOSTUNREACH))},
		{"collector", Fail, "its source is not an address of this machine", "",
			unreachable(failed("dial", unix.EADDRNOTAVAIL))},
		{"collector", Fail, "192.0.2.10:2055: there is no interface wg0", "",
			unreachable(&net.OpError{Op: "dial", Err: &export.BindError{Device: "wg0",
				Err: unix.ENODEV}})},
		{"collector", Fail, "takes CAP_NET_RAW before Linux 5.7", "",
			unreachable(&net.OpError{Op: "dial", Err: &export.BindError{Device: "wg0",
				Err: unix.EPERM}})},
		{"collector", Fail, "nothing listens there", "",
			unreachable(failed("read", unix.ECONNREFUSED))},
		{"collector", Fail, "broken or blocked", "",
			unreachable(failed("read", unix.EHOSTUNREACH))},
		{"collector", Fail, "broken or blocked", "", unreachable(failed("read", unix.ENETUNREACH))},
		{"collector", Fail, "a firewall on the path", "", unreachable(failed("read", unix.EACCES))},
		{"collector", Fail, "a firewall rule of this machine", "",
			unreachable(failed("write", unix.EPERM))},
		{"collector", Fail, "something else", "", unreachable(errors.New("something else"))},
	}
}

func offloaded(n, moved int) func(*State) {
	return func(f *State) { f.Dump.Offloaded, f.Dump.SeenTwice, f.Dump.Moved = n, n, moved }
}

func flowtables(list ...kernel.Flowtable) func(*State) {
	return func(f *State) { f.Flowtables = list }
}

func listening(list ...kernel.Subscriber) func(*State) {
	return func(f *State) { f.Listeners = list }
}

func unreachable(err error) func(*State) {
	return func(f *State) { f.Collectors[0].Err = err }
}

func failed(op string, errno unix.Errno) error {
	return &net.OpError{Op: op, Net: "udp", Err: os.NewSyscallError(op, errno)}
}

// state returns the good state with the change.
func (o *outcome) state() *State {
	f := good()
	if o.change != nil {
		o.change(f)
	}
	return f
}

func TestStateDeterminesResults(t *testing.T) {
	for _, o := range outcomes() {
		var got Result
		for _, r := range Results(o.state()) {
			if r.Name == o.name {
				got = r
			}
		}
		if got.Status != o.status || !strings.Contains(got.Text, o.text) || got.Fix != o.fix {
			t.Errorf("got  %+v\nwant {%s %s ...%s... %s}", got, o.name, o.status, o.text, o.fix)
		}
	}
}

// TestGoodMachineHasOneOKPerCheck also counts the collector.
func TestGoodMachineHasOneOKPerCheck(t *testing.T) {
	results := Results(good())
	if len(results) != len(lines()) || checklist.Count(results, OK) != len(results) {
		t.Errorf("%+v", results)
	}
}

// TestUserIsToldWhatIsNotChecked: exactly what has a result where the rights are there.
func TestUserIsToldWhatIsNotChecked(t *testing.T) {
	user := good()
	asUser(user)
	got := map[string]bool{}
	var unchecked []string
	for _, r := range Results(user) {
		got[r.Name] = true
		unchecked = append(unchecked, r.Unchecked...)
	}
	var missing []string
	for _, r := range Results(good()) {
		if !got[r.Name] {
			missing = append(missing, r.Name)
		}
		if len(r.Unchecked) > 0 {
			t.Errorf("root doesn't check %q", r.Unchecked)
		}
	}
	if !slices.Equal(unchecked, missing) {
		t.Errorf("said not to be checked: %q; without a result: %q", unchecked, missing)
	}
}

// TestUnloadedConntrackIsNotChecked: without the module, checks that need it print nothing.
func TestUnloadedConntrackIsNotChecked(t *testing.T) {
	var names []string
	for _, r := range Results(unloadedState()) {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "kernel modules clock" {
		t.Errorf("results of %s", got)
	}
}

func unloadedState() *State {
	return &State{Root: true, Kernel: &condition.Kernel{
		Loaded: fs.ErrNotExist, Clock: condition.Clock{Now: time.Unix(1_700_000_000, 0),
			Synced: true},
	}}
}

// TestEveryCheckIsDocumented looks for a row of docs/check.md per check.
func TestEveryCheckIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines() {
		if !strings.Contains(string(doc), "\n| "+l.name+" |") {
			t.Errorf("no row for %s", l.name)
		}
	}
}

// TestLargestBufferFitsIn32Bits: no size overflows on 32-bit machines.
func TestLargestBufferFitsIn32Bits(t *testing.T) {
	f := State{Requirements: Requirements{ReceiveBuffer: 1 << 30},
		Buffer: &Buffer{Granted: 1 << 30}}
	if got, want := buffer(&f).Text, "receive buffer 1024 MiB: holds 1677721 events"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
