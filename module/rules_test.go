package module

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// thresholds are those of docs/monitoring/alerts-devices.yml.
const thresholds = `{
	uploadBitsPerSecond = 10000000; downloadBitsPerSecond = 50000000; newDevices = true;
	offlineDevices = true; alwaysOn = [ "nas" "printer" ]; quotaBytes = 1000000000000;
	deviceQuotaBytes = 200000000000;
}`

// rules returns what rules.nix makes of options.
func rules(t *testing.T, options string) []byte {
	t.Helper()
	cmd := needNix(t, "nix-instantiate", "--eval", "--strict", "--json", "--store", "dummy://",
		"--expr", "import ./rules.nix "+options)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The rules that NixOS has are those that the documentation has.
func TestRulesAreTheSame(t *testing.T) {
	var nixos, documented map[string]any
	if err := json.Unmarshal(rules(t, thresholds), &nixos); err != nil {
		t.Fatal(err)
	}
	text := read(t, "../docs/monitoring/alerts-devices.yml")
	if err := yaml.Unmarshal([]byte(text), &documented); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(nixos, documented) {
		t.Errorf("rules.nix makes %v\ndocs/monitoring/alerts-devices.yml has %v", nixos, documented)
	}
}

// Whatever the options, Prometheus takes the rules.
func TestRulesAreValid(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: make tools")
	}
	for _, options := range []string{
		"{ }", thresholds,
		`{ deviceQuotas = { "tv.1" = 1; "nas" = 2; }; deviceQuotaBytes = 3; alwaysOn = [ "a.b" ]; }`,
		"{ quotaBytes = 5; billingDay = 28; }",
	} {
		path := filepath.Join(t.TempDir(), "rules.yml")
		if err := os.WriteFile(path, rules(t, options), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(promtool, "check", "rules", path).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", options, err, out)
		}
	}
}

// A month that begins on the 15th: what was moved before doesn't count from then on.
func TestBillingDay(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: make tools")
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("rules.yml", string(rules(t, "{ quotaBytes = 1000000000000; billingDay = 15; }")))
	const hour = "1000000000" // bytes each half hour: 2 GB an hour, 48 a day
	test := write("test.yml", fmt.Sprintf(`
rule_files: [rules.yml]
evaluation_interval: 1h
tests:
- interval: 30m # from 1 January on
  input_series:
  - series: 'conntally_traffic_bytes_total{instance="router", direction="download"}'
    values: '0+%sx2400'
  alert_rule_test:
  - {eval_time: 14d, alertname: ConntallyUplinkQuota} # 672 GB
  - {eval_time: 31d, alertname: ConntallyUplinkQuota} # 816 GB since the 15th
  - eval_time: 44d # 14 February
    alertname: ConntallyUplinkQuota
    exp_alerts:
    - exp_labels: {severity: warning, instance: router}
      exp_annotations: {summary: "router: the uplink has moved 1.44TB this month"}
  - {eval_time: 1083h, alertname: ConntallyUplinkQuota} # 15 February
`, hour))
	if out, err := exec.Command(promtool, "test", "rules", test).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The options' rules get to Prometheus; without metrics of devices, none are on devices.
func TestRulesReachPrometheus(t *testing.T) {
	r := readRecord(t)
	for name, want := range map[string][]string{
		"minimal": nil,
		"alerts":  {"conntally:uplink_bytes:increase1h", "ConntallyUplinkQuota"},
		"monitoring": {"ConntallyBandwidthHog", "ConntallyNewDevice",
			"ConntallyDeviceOffline", "ConntallyDeviceMissing", "conntally:uplink_bytes:increase1h",
			"conntally:device_wan_bytes:increase1h", "ConntallyUplinkQuota", "ConntallyDeviceQuota"},
	} {
		if got := r.system(t, name).rules(t); !slices.Equal(got, want) {
			t.Errorf("%s: rules %q, want %q", name, got, want)
		}
	}
}

// rules returns the names of the rules on devices and quotas. Those of conntally's own
// health come first, as a file.
func (o outcome) rules(t *testing.T) (names []string) {
	t.Helper()
	if len(o.Alerts) == 0 {
		return nil
	}
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Record string }
		}
	}
	if string(o.Alerts[0]) != `"alerts.yml"` || len(o.Alerts) != 2 {
		t.Fatalf("rule files %s", o.Alerts)
	}
	if err := json.Unmarshal(o.Alerts[1], &file); err != nil {
		t.Fatal(err)
	}
	for _, rule := range file.Groups[0].Rules {
		names = append(names, rule.Alert+rule.Record)
	}
	return names
}

// Private leases take one capability more, and nothing else.
func TestPrivateLeases(t *testing.T) {
	r := readRecord(t)
	private, minimal := parseUnit(r.system(t, "private").Unit), parseUnit(r.minimal(t).Unit)
	for _, key := range []string{"AmbientCapabilities", "CapabilityBoundingSet"} {
		key = "[Service]" + key
		got := strings.Join(private[key], " ")
		if want := minimal[key][0] + " CAP_DAC_READ_SEARCH"; got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
		delete(private, key)
		delete(minimal, key)
	}
	sees := private["[Service]BindReadOnlyPaths"]
	if !slices.Equal(sees, []string{"-/var/lib/private/kea"}) {
		t.Errorf("it sees %q", sees)
	}
	delete(private, "[Service]BindReadOnlyPaths")
	if !reflect.DeepEqual(private, minimal) {
		t.Errorf("otherwise %v, want %v", private, minimal)
	}
}
