package module

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally-history/config"
)

// historySystems are those that keep history.
func historySystems(t *testing.T, r *record) (names []string) {
	t.Helper()
	for _, name := range r.systems() {
		if r.system(t, name).History != nil {
			names = append(names, name)
		}
	}
	if len(names) < 5 {
		t.Fatalf("only %v keep history", names)
	}
	return names
}

// Each key of conntally-history is an option with the program's default, and no other is.
func TestHistorySettingsAreTheKeys(t *testing.T) {
	settings, defaults := readRecord(t).HistorySettings, reference(t, "conntally-history")
	delete(settings, "device")
	keys("", reflect.TypeFor[config.Config](), func(name string, _ reflect.StructTag) {
		want := literal(t, defaults[name])
		switch name {
		case "device.*.name":
			want = "none"
		case "device.*.mac", "device.*.address":
			want = "[]"
		case "device.*.quota":
			want = `""`
		}
		if got, is := settings[name]; !is {
			t.Errorf("no option services.conntally.history.settings.%s: add it to history-settings.nix, then %s",
				name, renew)
		} else if strings.Join(strings.Fields(got), "") != want {
			t.Errorf("services.conntally.history.settings.%s is %s by default, of the program it is %s",
				name, got, want)
		}
		delete(settings, name)
	})
	for name := range settings {
		t.Errorf("services.conntally.history.settings.%s is no key of the program", name)
	}
}

// conntally-history takes each file that the module generates, which is checked while the
// system is built, and is restarted for another one.
func TestHistorySettingsAreTaken(t *testing.T) {
	check := []string{labtest.Build(t, "conntally-history"), "serve", "--check-config", "--config"}
	r := readRecord(t)
	for _, name := range historySystems(t, r) {
		h := r.history(t, name)
		taken(t, check, any(h.File), false)
		if !h.Checked || !h.Restart {
			t.Errorf("%s: checked %v, restarted %v", name, h.Checked, h.Restart)
		}
	}
}

// The system with everything has each key, none of them as by default.
func TestEverythingOfHistoryIsTried(t *testing.T) {
	everything, defaults := map[string]any{}, reference(t, "conntally-history")
	flatten(everything, "", readRecord(t).history(t, "historyEverything").File)
	// The page is on, and its password in a file; a quota comes with devices of history's own.
	for _, name := range []string{"web.enable", "web.password_hash", "device.*.quota"} {
		delete(defaults, name)
	}
	for name, value := range defaults {
		switch got, is := everything[name]; {
		case !is:
			t.Errorf("%s is not tried", name)
		case literal(t, got) == literal(t, value) && !strings.HasPrefix(name, "device."):
			t.Errorf("%s is tried with its default, %v", name, got)
		}
	}
}

// collectors returns the addresses that conntally sends to on a system.
func collectors(t *testing.T, r *record, name string) (addresses []string) {
	t.Helper()
	file, _ := r.system(t, name).File.(map[string]any)
	list, _ := file["collector"].([]any)
	for _, c := range list {
		addresses = append(addresses, c.(map[string]any)["address"].(string))
	}
	return addresses
}

// With history alone, conntally runs and sends to it, with Ethernet addresses.
func TestHistoryIsSentTo(t *testing.T) {
	r := readRecord(t)
	for name, want := range map[string][]string{
		"historyAlone":      {"127.0.0.1:2056"},
		"historyEverything": {"127.0.0.1:2057", "192.0.2.10:2055"}, // it receives at 0.0.0.0
		"historyElsewhere":  nil,
		"historyBesideFile": nil, // which names its collectors itself
	} {
		got := collectors(t, r, name)
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s: sent to %v, want %v", name, got, want)
		}
		file, _ := r.system(t, name).File.(map[string]any)
		flow, _ := file["flow"].(map[string]any)
		if fields := literal(t, flow["extra_fields"]); want != nil && fields != `["mac"]` {
			t.Errorf("%s: with the extra fields %s", name, fields)
		}
	}
	if unit := r.system(t, "historyElsewhere").Unit; len(unit) > 0 {
		t.Errorf("without an exporter there is one: %v", unit)
	}
}

// Names and networks of devices are the exporter's, unless history has its own.
func TestHistoryKnowsTheSameDevices(t *testing.T) {
	r := readRecord(t)
	file := r.history(t, "history").File
	if got := literal(t, file["device"]); !strings.Contains(got, `"smart-tv"`) {
		t.Errorf("devices %s", got)
	}
	all := r.history(t, "historyEverything").File["devices"].(map[string]any)
	if got := literal(t, all["networks"]); got != `["10.8.0.0/24"]` {
		t.Errorf("networks %s", got)
	}
}

func TestPortOfThePage(t *testing.T) {
	r := readRecord(t)
	for name, want := range map[string][]int{"historyAlone": nil, "historyEverything": {9999}} {
		if got := r.system(t, name).Ports; !slices.Equal(got, want) {
			t.Errorf("%s: ports %v are open, want %v", name, got, want)
		}
	}
	if w := r.system(t, "historyBesideFile").Warnings; len(w) != 1 ||
		!strings.Contains(w[0], "on this host alone") {
		t.Errorf("an open port that leads nowhere: warnings %q", w)
	}
}
