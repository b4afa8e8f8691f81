package check

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/conntrack/kernel"
	"github.com/conntally/conntally/export"
)

// good is a machine that lacks nothing.
func good() *Facts {
	setting := func(name string) kernel.Setting {
		return kernel.Setting{Name: "net.netfilter.nf_conntrack_" + name, Want: 1, Was: 1}
	}
	return &Facts{
		Wanted: Wanted{ReceiveBuffer: 16 << 20, Command: "conntally check --config /etc/conntally.toml"},
		Kernel: &condition.Kernel{
			Settings: []kernel.Setting{setting("acct"), setting("timestamp"), setting("events")},
			Entries:  1000, Max: 262144, Tracked: condition.TrackingOn,
			Clock: condition.Clock{Now: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Synced: true},
		},
		Release: "6.1.0-49-amd64", Root: true,
		Ends:   &Ends{Reported: true},
		Dump:   &Dump{EntryStats: kernel.EntryStats{Entries: 1000}},
		Buffer: &Buffer{Granted: 16 << 20},
		Collectors: []Reached{{
			Target: export.Target{Address: "192.0.2.10:2055", Protocol: export.IPFIX},
			To:     netip.MustParseAddrPort("192.0.2.10:2055"),
		}},
	}
}

// outcome is what a change of good's facts leads to.
type outcome struct {
	name   string // of the result
	status Status // "" where it is left out
	text   string // is part of it
	fix    string
	change func(*Facts)
}

func outcomes() []outcome {
	acct, timestamp, events := 0, 1, 2
	was := func(i, value int) func(*Facts) { return func(f *Facts) { f.Settings[i].Was = value } }
	answer := func(err error) func(*Facts) { return func(f *Facts) { f.Answer = err } }
	user := func(f *Facts) {
		f.Root, f.Answer, f.Tracked, f.Ends, f.Dump, f.Buffer = false, unix.EPERM, 0, nil, nil, nil
	}
	unloaded := func(f *Facts) {
		*f = Facts{
			Release: f.Release, Root: true, Collectors: f.Collectors,
			Kernel: &condition.Kernel{Loaded: fs.ErrNotExist, Clock: f.Clock},
		}
	}
	release := func(s string) func(*Facts) { return func(f *Facts) { f.Release = s } }
	return []outcome{
		{"kernel", OK, "Linux 6.1.0-49-amd64", "", nil},
		{"kernel", OK, "Linux 5.14.0", "", release("5.14.0")},
		{"kernel", Warn, "expired", "", release("5.13.19")},
		{"kernel", Warn, "expired", "", release("5.11.0")},
		{"kernel", Warn, "TCP flags", "", release("5.10.200")},
		{"kernel", Warn, "TCP flags", "", release("5.4.0-rc1")},
		{"kernel", Warn, "older than", "", release("4.19.300")},
		{"kernel", Warn, "no version", "", release("")},
		{"kernel", OK, "Linux 10.0", "", release("10.0")},

		{"modules", OK, "nf_conntrack_netlink are loaded", "", nil},
		{"modules", Fail, "nf_conntrack is not loaded", "modprobe nf_conntrack_netlink", unloaded},
		{"modules", Fail, "nf_conntrack_netlink is not loaded", "modprobe nf_conntrack_netlink", answer(kernel.ErrNotLoaded)},
		{"modules", Fail, "doesn't answer: i/o timeout", "", answer(os.ErrDeadlineExceeded)},
		{"modules", OK, "nf_conntrack is loaded", "", user},

		{"rights", OK, "CAP_NET_ADMIN is there", "", nil},
		{"rights", Warn, "no CAP_NET_ADMIN: some", "sudo conntally check --config /etc/conntally.toml", user},
		{"rights", Warn, "the container", "", answer(unix.EPERM)},
		{"rights", "", "", "", answer(kernel.ErrNotLoaded)},
		{"rights", "", "", "", unloaded},

		{"acct", OK, "counted", "", nil},
		{"acct", Fail, "nf_conntrack_acct is 0", "sysctl -w net.netfilter.nf_conntrack_acct=1", was(acct, 0)},
		{"acct", Fail, "nf_conntrack_acct is 0", "sudo sysctl -w net.netfilter.nf_conntrack_acct=1",
			func(f *Facts) { user(f); f.Settings[acct].Was = 0 }},
		{"acct", Fail, "can't be read", "", func(f *Facts) { f.Settings[acct].Err = fs.ErrPermission }},
		{"acct", "", "", "", unloaded},
		{"timestamp", OK, "begin and end", "", nil},
		{"timestamp", Warn, "first seen", "sysctl -w net.netfilter.nf_conntrack_timestamp=1", was(timestamp, 0)},
		{"timestamp", "", "", "", unloaded},
		{"events", OK, "was made, and reported", "", nil},
		{"events", Fail, "one was made, and none was reported", "", func(f *Facts) { f.Ends.Reported = false }},
		{"events", OK, "says nf_conntrack_events; it can't be tried: loopback", "", func(f *Facts) { f.Ends = &Ends{Err: kernel.ErrNotTracked} }},
		{"events", OK, "is reported, says nf_conntrack_events", "", user},
		{"events", Fail, "reports no end", "sysctl -w net.netfilter.nf_conntrack_events=1", was(events, 0)},
		{"events", Warn, "nf_conntrack_events is 2", "sysctl -w net.netfilter.nf_conntrack_events=1", was(events, 2)},
		{"events", "", "", "", unloaded},

		{"tracking", OK, "are tracked", "", nil},
		{"tracking", Fail, "no rule", kernel.TrackRule, func(f *Facts) { f.Tracked, f.Entries = condition.TrackingOff, 0 }},
		{"tracking", Warn, "1000 connections are in the table: a rule exempts loopback", kernel.TrackRule, func(f *Facts) { f.Tracked = condition.TrackingDoubted }},
		{"tracking", OK, "conntally will", "", func(f *Facts) { f.Tracked, f.Wanted.Track = condition.TrackingOff, true }},
		{"tracking", Warn, "can't be tried", "", func(f *Facts) { f.Tracked = condition.TrackingUnknown }},
		{"tracking", "", "", "", user},

		{"counters", OK, "0 of 1000", "", nil},
		{"counters", Warn, "connections are older than nf_conntrack_acct=1, and uncounted until they end (12 of 1000)", "conntrack -F", func(f *Facts) { f.Dump.Uncounted = 12 }},
		{"counters", Fail, "can't be read", "", func(f *Facts) { f.Dump.Err = unix.EBUSY }},
		{"counters", "", "", "", func(f *Facts) { f.Dump.Uncounted, f.Settings[acct].Was = 12, 0 }},
		{"counters", "", "", "", user},

		{"offload", OK, "no connection", "", nil},
		{"offload", OK, "5 connections are offloaded, and counted", "", offloaded(5, 1)},
		{"offload", OK, "1 connection is offloaded, and counted", "", offloaded(1, 1)},
		{"offload", Warn, "no counter of any offloaded connection moves (5 of them)", "", offloaded(5, 0)},
		{"offload", Fail, "filter fast: flowtable without counter", `nft add flowtable inet filter fast "{ hook ingress priority 5; counter; }"`,
			flowtables(kernel.Flowtable{Family: 1, Table: "filter", Name: "fast", Priority: 5})},
		{"offload", OK, "no connection", "", flowtables(kernel.Flowtable{Family: 1, Table: "filter", Name: "fast", Counter: true})},
		{"offload", Fail, "c d: flowtable without counter", `nft add flowtable ip6 c d "{ hook ingress priority -1; counter; }"`,
			flowtables(kernel.Flowtable{Family: 2, Table: "a", Name: "b"}, kernel.Flowtable{Family: 10, Table: "c", Name: "d", Priority: -1})},
		{"offload", Fail, "c d: flowtable", `sudo nft add flowtable ip6 c d "{ hook ingress priority 0; flags offload; counter; }"`,
			func(f *Facts) {
				flowtables(kernel.Flowtable{Family: 10, Table: "c", Name: "d", Hardware: true})(f)
				f.Root = false
			}},
		{"offload", Fail, "$(reboot) x: flowtable without counter: what it forwards is not counted; write counter; into the flowtable", "",
			flowtables(kernel.Flowtable{Family: 1, Table: "$(reboot)", Name: "x"})},
		{"offload", "", "", "", func(f *Facts) { f.Dump.Err = unix.EBUSY }},

		{"bridge", OK, "no frames that are only bridged", "", nil},
		{"bridge", Warn, "conntrack sees frames that are only bridged",
			"sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0", func(f *Facts) { f.BridgeNetfilter = true }},
		{"bridge", "", "", "", unloaded},

		{"table", OK, "1000 connections of 262144", "", nil},
		{"table", OK, "799 connections", "", func(f *Facts) { f.Entries, f.Max = 799, 1000 }},
		{"table", Warn, "(800 of 1000 connections, 80 %)", "sysctl -w net.netfilter.nf_conntrack_max=2000",
			func(f *Facts) { f.Entries, f.Max = 800, 1000 }},
		{"table", "", "", "", func(f *Facts) { f.Max = 0 }},
		{"table", "", "", "", unloaded},

		{"table", OK, "1000 connections of 262144", "", func(f *Facts) { f.Statistics = &kernel.Statistics{InsertFailed: 3, Invalid: 4, SearchRestart: 5} }},
		{"table", Warn, "(drop 0, early_drop 2, insert_failed 3, search_restart 0)", "",
			func(f *Facts) { f.Statistics = &kernel.Statistics{EarlyDrop: 2, InsertFailed: 3} }},
		{"table", Warn, "(drop 1, early_drop 0, insert_failed 0, search_restart 5)", "",
			func(f *Facts) { f.Statistics = &kernel.Statistics{Drop: 1, SearchRestart: 5} }},

		{"buffer", OK, "16 MiB: holds 26214 events", "", nil},
		{"buffer", Warn, "smaller than receive_buffer (208 KiB of 16 MiB: holds 332 events)", "sysctl -w net.core.rmem_max=16777216",
			func(f *Facts) { f.Buffer.Granted = 212992 }},
		{"buffer", Warn, "(1000 B of 16 MiB: holds 1 events)", "sysctl -w net.core.rmem_max=16777216",
			func(f *Facts) { f.Buffer.Granted = 1000 }},
		{"buffer", Warn, "can't be tried", "", func(f *Facts) { f.Buffer.Err = unix.EMFILE }},
		{"buffer", "", "", "", user},

		{"listeners", OK, "nobody else", "", nil},
		{"listeners", OK, "conntally runs (pid 7)", "", listening(kernel.Subscriber{PID: 7, Program: "conntally", Reliable: true})},
		{"listeners", OK, "conntally runs (pid 7)", "",
			listening(kernel.Subscriber{PID: 7, Program: "conntally"}, kernel.Subscriber{PID: 7, Program: "conntally"})},
		{"listeners", Warn, "conntally runs 3 times", "kill 8 9", listening(kernel.Subscriber{PID: 9, Program: "conntally"},
			kernel.Subscriber{PID: 7, Program: "conntally"}, kernel.Subscriber{PID: 8, Program: "conntally"})},
		{"listeners", OK, "ulogd (pid 3) listens too", "", listening(kernel.Subscriber{PID: 3, Program: "ulogd"})},
		{"listeners", OK, "a program listens too", "", listening(kernel.Subscriber{})},
		{"listeners", Warn, "conntrackd (pid 4), a program asked for reliable", "", listening(kernel.Subscriber{PID: 4, Program: "conntrackd", Reliable: true},
			kernel.Subscriber{Reliable: true}, kernel.Subscriber{PID: 3, Program: "ulogd"})},
		{"listeners", Fail, "sets the counters to zero: what they counted since the last poll is lost (nlbwmon (pid 5))", "",
			func(f *Facts) { f.Zeroing = []string{"nlbwmon (pid 5)"} }},
		{"listeners", "", "", "", unloaded},

		{"clock", OK, "is synchronised", "", nil},
		{"clock", Warn, "isn't synchronised: flows may be dated wrong; chrony", "", func(f *Facts) { f.Clock.Synced = false }},
		{"clock", Warn, "isn't synchronised", "timedatectl set-ntp true", func(f *Facts) { f.Clock.Synced, f.Clock.Systemd = false, true }},
		{"clock", Fail, "never set, and all flows are dated wrong (it says 2019-12-31)", "timedatectl set-ntp true",
			func(f *Facts) { f.Clock.Now, f.Clock.Systemd = time.Date(2019, 12, 31, 0, 0, 0, 0, time.UTC), true }},

		{"collector", "", "", "", func(f *Facts) { f.Collectors, f.Wanted.Collectors = nil, nil }},
		{"collector", Warn, "no collector is configured", "", func(f *Facts) { f.Collectors, f.Wanted.File = nil, true }},
		{"collector", OK, "192.0.2.10:2055, ipfix: no ICMP error", "", nil},
		{"collector", OK, "flows.example:2055 (192.0.2.10:2055), ipfix: no ICMP error", "",
			func(f *Facts) { f.Collectors[0].Address = "flows.example:2055" }},
		{"collector", Fail, "can't be resolved: no such host", "",
			unreachable(&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "flows.example"}})},
		{"collector", Fail, "no route", "", unreachable(failed("dial", unix.ENETUNREACH))},
		{"collector", Fail, "no route", "", unreachable(failed("dial", unix.EHOSTUNREACH))},
		{"collector", Fail, "its source is not an address of this machine", "", unreachable(failed("dial", unix.EADDRNOTAVAIL))},
		{"collector", Fail, "nothing listens there", "", unreachable(failed("read", unix.ECONNREFUSED))},
		{"collector", Fail, "broken or barred", "", unreachable(failed("read", unix.EHOSTUNREACH))},
		{"collector", Fail, "broken or barred", "", unreachable(failed("read", unix.ENETUNREACH))},
		{"collector", Fail, "a firewall on the way", "", unreachable(failed("read", unix.EACCES))},
		{"collector", Fail, "a firewall rule of this machine", "", unreachable(failed("write", unix.EPERM))},
		{"collector", Fail, "something else", "", unreachable(errors.New("something else"))},
	}
}

func offloaded(n, moved int) func(*Facts) {
	return func(f *Facts) { f.Dump.Offloaded, f.Dump.Met, f.Dump.Moved = n, n, moved }
}

func flowtables(list ...kernel.Flowtable) func(*Facts) {
	return func(f *Facts) { f.Flowtables = list }
}

func listening(list ...kernel.Subscriber) func(*Facts) {
	return func(f *Facts) { f.Listeners = list }
}

func unreachable(err error) func(*Facts) {
	return func(f *Facts) { f.Collectors[0].Err = err }
}

func failed(op string, errno unix.Errno) error {
	return &net.OpError{Op: op, Net: "udp", Err: os.NewSyscallError(op, errno)}
}

// facts returns good's with the outcome's change.
func (o *outcome) facts() *Facts {
	f := good()
	if o.change != nil {
		o.change(f)
	}
	return f
}

func TestResults(t *testing.T) {
	for _, o := range outcomes() {
		var got Result
		for _, r := range Results(o.facts()) {
			if r.Name == o.name {
				got = r
			}
		}
		if got.Status != o.status || !strings.Contains(got.Text, o.text) || got.Fix != o.fix {
			t.Errorf("got  %+v\nwant {%s %s ...%s... %s}", got, o.name, o.status, o.text, o.fix)
		}
	}
}

// Of a good machine there is one line for each check and collector, and all are ok.
func TestGoodMachine(t *testing.T) {
	results := Results(good())
	if len(results) != len(lines()) || Count(results, OK) != len(results) {
		t.Errorf("%+v", results)
	}
}

// Where conntrack isn't loaded, nothing is said of what it would tell.
func TestUnloaded(t *testing.T) {
	var names []string
	for _, r := range Results(unloadedFacts()) {
		names = append(names, r.Name)
	}
	if got := strings.Join(names, " "); got != "kernel modules clock" {
		t.Errorf("results of %s", got)
	}
}

func unloadedFacts() *Facts {
	return &Facts{Root: true, Kernel: &condition.Kernel{
		Loaded: fs.ErrNotExist, Clock: condition.Clock{Now: time.Unix(1_700_000_000, 0), Synced: true},
	}}
}

// docs/check.md says of every line what it means.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/check.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines() {
		if !strings.Contains(string(doc), "\n| "+l.name+" |") {
			t.Errorf("nothing about %s", l.name)
		}
	}
}

// The largest receive buffer is right in 32 bits, too.
func TestLargestBuffer(t *testing.T) {
	f := Facts{Wanted: Wanted{ReceiveBuffer: 1 << 30}, Buffer: &Buffer{Granted: 1 << 30}}
	if got, want := buffer(&f).Text, "receive buffer 1024 MiB: holds 1677721 events"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
