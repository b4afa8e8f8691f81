package services

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

const busConfig = `<busconfig>
	<type>session</type>
	<listen>unix:dir=DIR</listen>
	<auth>EXTERNAL</auth>
	<policy context="default">
		<allow send_destination="*"/>
		<allow receive_sender="*"/>
		<allow own="*"/>
	</policy>
</busconfig>`

// startBus runs a message bus of the test's own and returns its address.
func startBus(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "bus.conf")
	text := strings.ReplaceAll(busConfig, "DIR", dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--nofork", "--nopidfile", "--print-address=1",
		"--config-file="+config)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// fakeUnit has a unit's properties, by interface and name.
type fakeUnit struct {
	state      string
	properties map[string]any
	asked      func(property string) // before it is answered, if not nil
}

func accounted(state string, n uint64) *fakeUnit {
	c := counters(n)
	return &fakeUnit{state: state, properties: map[string]any{
		"IPAccounting": true, "InvocationID": []byte("0123456789abcdef"),
		"IPIngressBytes": c.DownBytes, "IPIngressPackets": c.DownPackets,
		"IPEgressBytes": c.UpBytes, "IPEgressPackets": c.UpPackets,
	}}
}

func (u *fakeUnit) with(property string, value any) *fakeUnit {
	u.properties = maps.Clone(u.properties)
	u.properties[property] = value
	return u
}

// Get is a method of org.freedesktop.DBus.Properties.
func (u *fakeUnit) Get(_, property string) (dbus.Variant, *dbus.Error) {
	if u.asked != nil {
		u.asked(property)
	}
	switch value := u.properties[property].(type) {
	case nil:
		return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownProperty", nil)
	case *dbus.Error:
		return dbus.Variant{}, value
	default:
		return dbus.MakeVariant(value), nil
	}
}

type fakeSystemd map[string]*fakeUnit

// ListUnitsByPatterns is a method of org.freedesktop.systemd1.Manager.
func (s fakeSystemd) ListUnitsByPatterns(_, patterns []string) ([]systemd.UnitStatus, *dbus.Error) {
	var list []systemd.UnitStatus
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if slices.Contains(patterns, "*"+filepath.Ext(name)) {
			list = append(list, systemd.UnitStatus{Name: name, LoadState: "loaded",
				ActiveState: s[name].state, Path: "/", JobPath: "/"})
		}
	}
	return list, nil
}

// serve answers on a bus and returns a Bus that asks there.
func (s fakeSystemd) serve(t *testing.T) Bus {
	t.Helper()
	address := startBus(t)
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	export := func(value any, path dbus.ObjectPath, name string) {
		if err := conn.Export(value, path, name); err != nil {
			t.Fatal(err)
		}
	}
	const root = "/org/freedesktop/systemd1"
	export(s, root, "org.freedesktop.systemd1.Manager")
	for name, u := range s {
		path := dbus.ObjectPath(root + "/unit/" + systemd.PathBusEscape(name))
		export(u, path, "org.freedesktop.DBus.Properties")
	}
	if _, err := conn.RequestName("org.freedesktop.systemd1", 0); err != nil {
		t.Fatal(err)
	}
	return Bus{dial: func(context.Context) (*systemd.Conn, error) {
		return systemd.NewConnection(func() (*dbus.Conn, error) { return dbus.Connect(address) })
	}}
}

func gone() *dbus.Error { return dbus.NewError("org.freedesktop.systemd1.NoSuchUnit", nil) }

func TestUnitsWithAccountingAreRead(t *testing.T) {
	restarted := accounted("active", 1)
	restarted.asked = func(property string) {
		if property == "IPEgressPackets" {
			restarted.with("InvocationID", []byte("another one too!"))
		}
	}
	bus := fakeSystemd{
		"active.service":     accounted("active", 100),
		"a-b\\x2d.service":   accounted("reloading", 110),
		"socket.socket":      accounted("active", 120),
		"mount.mount":        accounted("active", 130),
		"swap.swap":          accounted("active", 140),
		"scope.scope":        accounted("deactivating", 150),
		"stopped.service":    accounted("inactive", 160),
		"failed.service":     accounted("failed", 170),
		"forgotten.service":  accounted("inactive", 180),
		"slice.slice":        accounted("active", 190),
		"off.service":        accounted("active", 1).with("IPAccounting", false),
		"without.service":    accounted("active", 1).with("IPAccounting", nil),
		"nodata.service":     accounted("active", 1).with("IPIngressBytes", uint64(noData)),
		"wrongtype.service":  accounted("active", 1).with("IPIngressBytes", "many"),
		"never.service":      accounted("active", 1).with("InvocationID", []byte{}),
		"gone.service":       accounted("active", 1).with("IPAccounting", gone()),
		"goes.service":       accounted("active", 1).with("IPEgressBytes", gone()),
		"restarting.service": restarted,
	}.serve(t)
	known := func(unit string) bool { return unit == "stopped.service" || unit == "failed.service" }
	readings, err := bus.Units(t.Context(), known)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]usage.Counters{}
	for _, r := range readings {
		got[r.Unit] = r.Moved
		if want := hex.EncodeToString([]byte("0123456789abcdef")); r.Invocation != want {
			t.Errorf("%s: invocation %s, want %s", r.Unit, r.Invocation, want)
		}
	}
	want := map[string]usage.Counters{
		"active.service": counters(100), "a-b\\x2d.service": counters(110),
		"socket.socket": counters(120), "mount.mount": counters(130), "swap.swap": counters(140),
		"scope.scope": counters(150), "stopped.service": counters(160),
		"failed.service": counters(170),
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// Without access there are no counters at all; what was read before is returned.
func TestDeniedAccessIsAnError(t *testing.T) {
	denied := dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"no"})
	bus := fakeSystemd{
		"a.service": accounted("active", 100),
		"b.service": accounted("active", 100).with("IPEgressBytes", denied),
	}.serve(t)
	readings, err := bus.Units(t.Context(), func(string) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "b.service") || len(readings) != 1 {
		t.Errorf("%d readings, error %v", len(readings), err)
	}
}

func TestNoSystemdIsAnError(t *testing.T) {
	address := startBus(t)
	for name, dial := range map[string]func() (*dbus.Conn, error){
		"no systemd on the bus": func() (*dbus.Conn, error) { return dbus.Connect(address) },
		"no bus":                func() (*dbus.Conn, error) { return nil, errors.New("no bus") },
	} {
		bus := Bus{dial: func(context.Context) (*systemd.Conn, error) { return systemd.NewConnection(dial) }}
		if _, err := bus.Units(t.Context(), func(string) bool { return false }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
