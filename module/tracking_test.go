package module

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/conntrack/kernel"
)

// What enableTracking adds to nftables is the rule that the program names, in a table
// of another name: the program's own may be there, too.
func TestTrackingByNftables(t *testing.T) {
	_, rule, _ := strings.Cut(kernel.TrackRule, "{ ")
	rule = "inet " + strings.TrimSuffix(rule, " }'")
	want := map[string]string{"conntally-track": rule}
	if got := readRecord(t).system(t, "nftables").Nftables; !maps.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Where the system has no firewall, the program itself does it.
func TestTrackingAlone(t *testing.T) {
	r := readRecord(t)
	start := parseUnit(r.system(t, "alone").Unit)["[Service]ExecStart"]
	if len(start) != 1 || !strings.HasSuffix(start[0], `"--track"`) {
		t.Errorf("it starts with %q", start)
	}
	if got := r.system(t, "alone"); len(got.Nftables)+len(got.Iptables) > 0 {
		t.Errorf("a firewall that is off gets rules: %v %v", got.Nftables, got.Iptables)
	}
}

func TestWarnings(t *testing.T) {
	r := readRecord(t)
	for _, name := range r.systems() {
		want := map[string]string{
			"untracked":           "services.conntally.enableTracking = true",
			"untrackedByNftables": "services.conntally.enableTracking = true",
			"loopback":            "services.conntally.metrics.listenAddress",
			"historyBesideFile":   "services.conntally.history.web.listenAddress",
		}[name]
		got := r.system(t, name).Warnings
		if want == "" && len(got) > 0 || want != "" && !strings.Contains(strings.Join(got, ""), want) {
			t.Errorf("%s: warned of %q, want %q", name, got, want)
		}
	}
}

func TestPorts(t *testing.T) {
	r := readRecord(t)
	if got := r.minimal(t).Ports; len(got) > 0 {
		t.Errorf("the firewall is opened unasked: %v", got)
	}
	if got := r.system(t, "everything").Ports; !slices.Equal(got, []int{9999}) {
		t.Errorf("opened %v, want the metrics' 9999", got)
	}
}

// What the firewalls are given has the kernel track, and what takes it away ends that.
func TestTrackingIsReal(t *testing.T) {
	r := readRecord(t)
	table := r.system(t, "nftables").Nftables["conntally-track"]
	rules := r.system(t, "iptables")
	const both = "ip46tables() { iptables -w \"$@\" && ip6tables -w \"$@\"; }\n" // as NixOS has it
	for _, c := range []struct{ name, start, stop string }{
		{"nft", "nft 'table " + strings.Replace(table, "chain", "conntally-track { chain", 1) + " }'", "nft delete table inet conntally-track"},
		{"iptables", both + strings.Join(rules.Iptables, "\n"), both + strings.Join(rules.IptablesStop, "\n")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := exec.LookPath(c.name); err != nil {
				t.Skip(err)
			}
			inNamespace(t, func(step func(script string, want bool)) {
				step("ip link set lo up", false)
				step(c.start, true)
				step(c.start, true) // again, as a firewall that restarts
				step(c.stop, false)
			})
		})
	}
}

// inNamespace runs scripts in a network namespace of its own, and looks each time
// whether the kernel tracks there.
func inNamespace(t *testing.T, run func(step func(script string, want bool))) {
	t.Helper()
	n := labtest.NewNamespace(t)
	run(func(script string, want bool) {
		t.Helper()
		err := n.Do(func() error {
			if out, err := exec.Command("sh", "-ec", script).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", script, err, out)
			}
			got, err := kernel.Tracking()
			if err == nil && got != want {
				err = fmt.Errorf("after %s: tracking %v", script, got)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
