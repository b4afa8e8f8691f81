package module

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unit is a unit file: section and key, and what is assigned.
type unit map[string][]string

func parseUnit(lines []string) unit {
	u, section := unit{}, ""
	for _, line := range lines {
		key, value, assigned := strings.Cut(line, "=")
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = line
		case assigned:
			u[section+key] = append(u[section+key], sameWord(value))
		}
	}
	return u
}

func sameWord(value string) string {
	if value == "true" {
		return "yes"
	}
	return value
}

// otherwise is what NixOS has instead of what the unit file says.
var otherwise = map[string]struct{ file, nixos []string }{
	"[Unit]ConditionPathExists": {[]string{"/etc/conntally.toml"}, nil}, // is always there
	"[Unit]After": { // its firewalls have other names
		[]string{"network.target nftables.service iptables.service firewalld.service"},
		[]string{"network.target nftables.service firewall.service firewalld.service"},
	},
	"[Service]ExecStart": {
		[]string{"/usr/bin/conntally run --config /etc/conntally.toml"},
		[]string{`"/nix/store/conntally/bin/conntally" "run" "--config" "/etc/conntally.toml"`},
	},
	"[Service]ExecReload": {
		[]string{"/usr/bin/conntally run --config /etc/conntally.toml --check-config", "/bin/kill -HUP $MAINPID"},
		[]string{
			`"/nix/store/conntally/bin/conntally" "run" "--config" "/etc/conntally.toml" "--check-config"`,
			"/nix/store/coreutils/bin/kill -HUP $MAINPID",
		},
	},
	// The record leaves it out, since NixOS adds its own: see TestUnitsCrashBySignal.
	"[Service]Environment": {[]string{"GOTRACEBACK=crash"}, nil},
}

// On NixOS the service has the same rights and duties as elsewhere.
func TestUnitIsTheSame(t *testing.T) {
	file := parseUnit(strings.Split(read(t, "systemd/conntally.service"), "\n"))
	nixos := parseUnit(readRecord(t).minimal(t).Unit)
	sameUnit(t, file, nixos, otherwise)
}

// Where ends are read by eBPF, and there alone, it has what the drop-in grants.
func TestEBPFUnitIsTheSame(t *testing.T) {
	r := readRecord(t)
	text := read(t, "systemd/conntally.service") + read(t, "systemd/ebpf.conf")
	file := parseUnit(strings.Split(text, "\n"))
	for _, name := range []string{"ebpf", "ebpfBySetting", "ebpfBesideFile"} {
		sameUnit(t, file, parseUnit(r.system(t, name).Unit), otherwise)
	}
	refused, minimal := r.system(t, "ebpfRefused"), r.minimal(t)
	if !slices.Equal(refused.Unit, minimal.Unit) {
		t.Errorf("with source = \"netlink\" the unit is\n%s", strings.Join(refused.Unit, "\n"))
	}
}

// sameUnit compares two units, but for what is otherwise.
func sameUnit(t *testing.T, file, nixos unit, otherwise map[string]struct{ file, nixos []string }) {
	t.Helper()
	keys := slices.Concat(slices.Collect(maps.Keys(file)), slices.Collect(maps.Keys(nixos)))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		wantFile, wantNixos := file[key], file[key]
		if o, differs := otherwise[key]; differs {
			wantFile, wantNixos = o.file, o.nixos
		}
		if !reflect.DeepEqual(file[key], wantFile) || !reflect.DeepEqual(nixos[key], wantNixos) {
			t.Errorf("%s: the unit file has %q, NixOS %q", key, file[key], nixos[key])
		}
	}
}

// otherwiseHistory is the same of conntally-history.
var otherwiseHistory = map[string]struct{ file, nixos []string }{
	"[Service]ExecStart": {
		[]string{"/usr/bin/conntally-history serve --config /etc/conntally-history.toml"},
		[]string{`"/nix/store/conntally/bin/conntally-history" "serve" "--config" "/etc/conntally-history.toml"`},
	},
	"[Service]SupplementaryGroups": {[]string{"systemd-journal"}, nil}, // only for services
	"[Service]Environment":         otherwise["[Service]Environment"],
}

func TestHistoryUnitIsTheSame(t *testing.T) {
	file := parseUnit(strings.Split(read(t, "systemd/conntally-history.service"), "\n"))
	nixos := parseUnit(readRecord(t).history(t, "historyAlone").Unit)
	sameUnit(t, file, nixos, otherwiseHistory)
}

// The exit status that is not restarted after is that of a crash, too, unless a signal ends the
// program then.
func TestUnitsCrashBySignal(t *testing.T) {
	for _, file := range []string{"unit.nix", "history-unit.nix"} {
		if !strings.Contains(read(t, file), "\n  Environment = \"GOTRACEBACK=crash\";\n") {
			t.Errorf("%s doesn't set GOTRACEBACK", file)
		}
	}
}

// With services the unit may read the journal, and with private leases what only others may.
func TestRightsOfHistory(t *testing.T) {
	r := readRecord(t)
	alone := parseUnit(r.history(t, "historyAlone").Unit)
	all := parseUnit(r.history(t, "historyEverything").Unit)
	for key, want := range map[string][]string{
		"[Service]SupplementaryGroups":   {"systemd-journal"},
		"[Service]LoadCredential":        {"password:/run/secrets/history-password"},
		"[Service]AmbientCapabilities":   {"CAP_DAC_READ_SEARCH"},
		"[Service]CapabilityBoundingSet": {"", "CAP_DAC_READ_SEARCH"},
		"[Service]PrivateUsers":          {"false"},
	} {
		if !slices.Equal(all[key], want) || slices.Equal(alone[key], want) {
			t.Errorf("%s is %q, want %q; alone it is %q", key, all[key], want, alone[key])
		}
	}
}

// Flows that are printed for want of a collector don't fill the log.
func TestFlowsStayOutOfTheLog(t *testing.T) {
	file := parseUnit(strings.Split(read(t, "systemd/conntally.service"), "\n"))
	if out, errs := file["[Service]StandardOutput"], file["[Service]StandardError"]; !slices.Equal(out, []string{"null"}) || !slices.Equal(errs, []string{"journal"}) {
		t.Errorf("systemd has %q and %q", out, errs)
	}
	if out := one(t, "openrc/conntally", `(?m)^output_log=(.*)$`); out != "/dev/null" {
		t.Errorf("OpenRC has %s", out)
	}
	if strings.Contains(read(t, "openwrt/files/conntally.init"), "procd_set_param stdout") {
		t.Error("OpenWrt has the system's log")
	}
}

// What systemd itself makes of the unit on NixOS.
func TestExposure(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	r := readRecord(t)
	for _, tc := range []struct {
		name, threshold string
		unit            []string
	}{
		{"conntally", "15", r.minimal(t).Unit},
		{"conntally", "21", r.system(t, "ebpf").Unit},
		{"conntally-history", "11", r.history(t, "historyAlone").Unit},
	} {
		path := filepath.Join(t.TempDir(), tc.name+".service")
		if err := os.WriteFile(path, []byte(strings.Join(tc.unit, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(analyze, "security", "--no-pager", "--offline=yes",
			"--threshold="+tc.threshold, path).CombinedOutput()
		if !regexp.MustCompile(`Overall exposure level for \S+: [0-9.]+`).Match(out) {
			t.Skipf("systemd-analyze: %v\n%s", err, out) // before systemd 250
		}
		if err != nil {
			t.Errorf("%s is more exposed than %s tenths: %v\n%s", tc.name, tc.threshold, err, out)
		}
	}
}

// The same is turned on as elsewhere, before the first connection.
func TestKernelIsTheSame(t *testing.T) {
	want := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^-(\S+) = 1$`).FindAllStringSubmatch(read(t, "sysctl.d/60-conntally.conf"), -1) {
		want[m[1]] = 1
	}
	r := readRecord(t)
	if got := r.minimal(t).Sysctls; len(want) == 0 || !maps.Equal(got, want) {
		t.Errorf("NixOS sets %v, sysctl.d %v", got, want)
	}
	modules := regexp.MustCompile(`(?m)^\w+$`).FindAllString(read(t, "modules-load.d/conntally.conf"), -1)
	if got := r.minimal(t).KernelModules; len(modules) == 0 || !slices.Equal(got, modules) {
		t.Errorf("NixOS loads %v, modules-load.d %v", got, modules)
	}
	if inside := r.system(t, "container"); len(inside.Sysctls)+len(inside.KernelModules) > 0 {
		t.Errorf("a container takes to the host's kernel: %v %v", inside.Sysctls, inside.KernelModules)
	}
	if got := r.system(t, "overruled").Sysctls["net.netfilter.nf_conntrack_timestamp"]; got != 0 {
		t.Errorf("the administrator's own sysctl is overruled")
	}
}
