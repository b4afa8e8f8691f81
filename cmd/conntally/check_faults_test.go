package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/conntally/conntally/bench/lab"
	"github.com/conntally/conntally/cmd/conntally/check"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// TestCheckFixes causes real faults, which check must find, and runs its fixes, after which
// they must be gone.
func TestCheckFixes(t *testing.T) {
	r := newCheckedRig(t)
	set := func(name, value string) func() error {
		return func() error { return r.Router.Sysctl(sysctlPrefix+name, value) }
	}
	for _, c := range []struct {
		name   string
		status check.Status
		in     *lab.Namespace
		damage func() error
	}{
		{"acct", check.Warn, r.Router, set("acct", "0")},
		{"timestamp", check.Warn, r.Router, set("timestamp", "0")},
		{"events", check.Warn, r.Router, set("events", "2")},
		{"events", check.Warn, r.Router, set("events", "0")},
		{"tracking", check.Fail, r.Client, func() error { return nil }}, // has no rule
	} {
		if c.in == r.Router {
			r.want(r.check(c.in, c.name), check.OK, "")
		}
		if err := c.damage(); err != nil {
			t.Fatal(err)
		}
		found := r.check(c.in, c.name)
		r.want(found, c.status, "")
		r.fix(c.in, found)
		r.want(r.check(c.in, c.name), check.OK, "")
	}
}

// TestCheckUncounted: of connections that aren't counted, check offers no command to copy, since
// forgetting them breaks some.
func TestCheckUncounted(t *testing.T) {
	r := newCheckedRig(t)
	acct := sysctlPrefix + "acct"
	err := errors.Join(r.Router.Sysctl(acct, "0"), r.Router.Fill(0, 100), r.Router.Sysctl(acct, "1"))
	if err != nil {
		t.Fatal(err)
	}
	found := r.check(r.Router, "counters")
	r.want(found, check.Warn, "wait until they end")
	if found.Fix != "" {
		t.Errorf("offers %q", found.Fix)
	}
	if err := r.Router.Flush(); err != nil {
		t.Fatal(err)
	}
	r.want(r.check(r.Router, "counters"), check.OK, "")
}

// TestCheckReadOnlySettings has settings off that `conntally run` can't turn on, as in many
// containers.
func TestCheckReadOnlySettings(t *testing.T) {
	r := newCheckedRig(t)
	const script = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && " +
		"exec conntally check --json"
	for name, status := range map[string]check.Status{
		"acct": check.Fail, "timestamp": check.Warn, "events": check.Fail,
	} {
		if err := r.Router.Sysctl(sysctlPrefix+name, "0"); err != nil {
			t.Fatal(err)
		}
		found := r.result(name, r.Router, exec.Command(need(t, "unshare"), "--mount", "sh", "-c",
			script))
		r.want(found, status, name+" is 0")
		if strings.Contains(found.Text, "conntally run turns it on") {
			t.Errorf("conntally run can't: %s", found.Text)
		}
	}
}

// TestCheckFullTable changes a setting of the machine, and restores it.
func TestCheckFullTable(t *testing.T) {
	r := newCheckedRig(t)
	most := keepSysctl(t, "/proc/sys/net/netfilter/nf_conntrack_max")
	if err := r.Router.Fill(0, most*85/100); err != nil {
		t.Fatal(err)
	}
	found := r.check(r.Router, "table")
	r.want(found, check.Warn, " connections, 8")
	r.fix(nil, found)
	r.want(r.check(r.Router, "table"), check.OK, "")
}

// TestCheckBridge runs check in a namespace that bridges frames, with its own sysfs.
func TestCheckBridge(t *testing.T) {
	r := newCheckedRig(t)
	if _, err := os.Stat("/proc/sys/net/bridge"); err != nil {
		t.Skip("br_netfilter is not loaded")
	}
	look := func() check.Result {
		script := "mount -t sysfs sysfs /sys && exec conntally check --json"
		return r.result("bridge", r.Router, exec.Command(need(t, "unshare"), "--mount", "sh", "-c",
			script))
	}
	r.shell(r.Router,
		"sysctl -qw net.bridge.bridge-nf-call-iptables=1; ip link add name b type bridge")
	for _, port := range []string{"p", "q"} {
		r.want(look(), check.OK, "")
		r.shell(r.Router, "ip link add name "+port+" master b type veth peer name "+port+"2")
	}
	found := look()
	r.want(found, check.Warn, "conntrack sees frames that are only bridged")
	r.fix(r.Router, found)
	r.want(look(), check.OK, "")
}

// TestCheckZeroing runs a process with nlbwmon's name.
func TestCheckZeroing(t *testing.T) {
	r := newCheckedRig(t)
	sleep, err := os.ReadFile(need(t, "sleep"))
	if err == nil {
		err = os.WriteFile(filepath.Join(r.bin, "nlbwmon"), sleep, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := r.start(filepath.Join(r.bin, "nlbwmon"), "60")
	r.want(r.check(r.Router, "listeners"), check.Fail,
		fmt.Sprintf("traffic since the last poll is lost (nlbwmon (pid %d))", p.cmd.Process.Pid))
}

// TestCheckNoCollector runs check with a file that has no collector.
func TestCheckNoCollector(t *testing.T) {
	r := newCheckedRig(t)
	r.want(r.check(r.Router, "collector", "--config", r.config("")), check.Warn,
		"no collector is configured")
	r.want(r.check(r.Router, "collector"), "", "")
}

// TestCheckBuffer runs check in a user namespace, where SO_RCVBUFFORCE is refused.
func TestCheckBuffer(t *testing.T) {
	r := newCheckedRig(t)
	was := keepSysctl(t, "/proc/sys/net/core/rmem_max")
	config := r.config(fmt.Sprintf("[conntrack]\nreceive_buffer = \"%d\"\n", 2*was))
	look := func() check.Result {
		cmd := exec.Command(filepath.Join(r.bin, "conntally"), "check", "--json", "--config",
			config)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{Size: 1}},
		}
		return r.result("buffer", nil, cmd)
	}
	found := look()
	r.want(found, check.Warn, "smaller than receive_buffer")
	r.fix(nil, found)
	r.want(look(), check.OK, "")
	r.want(r.check(r.Router, "buffer"), check.OK, "16 MiB") // where it isn't refused
}

// TestCheckRights runs check as an ordinary user, and then as its fix says.
func TestCheckRights(t *testing.T) {
	r := newCheckedRig(t)
	cmd := exec.Command(filepath.Join(r.bin, "conntally"), "check", "--json")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	found := r.result("rights", r.Router, cmd)
	r.want(found, check.Warn, "no CAP_NET_ADMIN")
	found.Fix += " --json"
	r.want(r.result("rights", r.Router, exec.Command("sh", "-c", found.Fix)), check.OK, "")
	if err := r.Router.Sysctl(sysctlPrefix+"acct", "0"); err != nil {
		t.Fatal(err)
	}
	again := exec.Command(cmd.Path, "check", "--json")
	again.SysProcAttr = cmd.SysProcAttr
	found = r.result("acct", r.Router, again)
	r.want(found, check.Warn, "")
	r.fix(r.Router, found)
	r.want(r.check(r.Router, "acct"), check.OK, "")
}

// TestCheckListeners runs check beside other programs that listen.
func TestCheckListeners(t *testing.T) {
	r := newCheckedRig(t)
	r.want(r.check(r.Router, "listeners"), check.OK, "no other program")
	start := func() *process {
		p := r.start(filepath.Join(r.bin, "conntally"), "run", "--collector", "127.0.0.1:9")
		p.says("reading conntrack")
		return p
	}
	first := start()
	r.want(r.check(r.Router, "listeners"), check.OK,
		fmt.Sprintf("conntally runs (pid %d)", first.cmd.Process.Pid))
	second := start()
	found := r.check(r.Router, "listeners")
	r.want(found, check.Warn, "2 times")
	r.fix(r.Router, found)
	for _, p := range []*process{first, second} {
		if strings.HasSuffix(found.Fix, " "+strconv.Itoa(p.cmd.Process.Pid)) {
			if err := <-p.exited; err != nil {
				t.Errorf("killed: %v\n%s", err, p)
			}
		}
	}
	r.want(r.check(r.Router, "listeners"), check.OK, "conntally runs")

	reader, err := ctnetlink.Open(ctnetlink.Options{NetNS: r.Router.FD(), ReceiveBuffer: 1 << 16,
		Reliable: true}, conntrack.SystemClock())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	r.want(r.check(r.Router, "listeners"), check.Warn,
		fmt.Sprintf("(pid %d) uses reliable delivery", os.Getpid()))
}

// TestCheckChangesNothing compares settings and rules before and after.
func TestCheckChangesNothing(t *testing.T) {
	r := newCheckedRig(t)
	for _, ns := range []*lab.Namespace{r.Router, r.Client} { // tracking, and not
		for _, name := range []string{"acct", "timestamp", "events"} {
			if err := ns.Sysctl(sysctlPrefix+name, "0"); err != nil {
				t.Fatal(err)
			}
		}
		before := r.state(ns)
		r.check(ns, "")
		if after := r.state(ns); after != before {
			t.Errorf("before\n%s\nafter\n%s", before, after)
		}
	}
}

// state returns everything that a check could change, except counters.
func (r *checkedRig) state(ns *lab.Namespace) string {
	const command = "nft -s list ruleset; grep -r . /proc/sys/net/netfilter /proc/sys/net/core | " +
		"grep -v _count:; grep -c . /proc/net/netlink"
	output, complaint, code := r.run(ns, exec.Command("sh", "-c", command))
	if code != 0 || output.Len() < 1000 {
		r.t.Fatalf("exit code %d: %s%s", code, &output, &complaint)
	}
	return output.String()
}

// TestCheckFilters names an interface that comes later, as that of a tunnel does.
func TestCheckFilters(t *testing.T) {
	r := newCheckedRig(t)
	file := r.config("[[filter]]\naction = \"exclude\"\ninterfaces = [\"lo\", \"tunnel7\"]\n")
	look := func() check.Result { return r.check(r.Router, "filters", "--config", file) }
	r.want(look(), check.Warn, "tunnel7: a filter names an interface that isn't there")
	r.shell(r.Router, "ip link add name tunnel7 type veth peer name tunnel8")
	r.want(look(), check.OK, "")
	r.want(r.check(r.Router, "filters"), "", "")
}
