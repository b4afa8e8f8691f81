package module

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/conntally/conntally/bench/lab/labtest"
	"github.com/conntally/conntally/cmd/conntally/config"
)

// keys calls found with each key of the configuration file, as options are called.
func keys(prefix string, table reflect.Type, found func(name string, tag reflect.StructTag)) {
	for f := range table.Fields() {
		name := prefix + f.Tag.Get("toml")
		switch {
		case isTable(f.Type):
			keys(name+".", f.Type, found)
		case f.Type.Kind() == reflect.Slice && prefix == "":
			keys(name+".*.", f.Type.Elem(), found)
		default:
			found(name, f.Tag)
		}
	}
}

// isTable reports whether a type has keys of its own; others wrap a value.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.NumField() > 0 && t.Field(0).Tag.Get("toml") != ""
}

// reference is the reference configuration of a program with its examples, by option.
func reference(t *testing.T, program string) map[string]any {
	t.Helper()
	text := read(t, "../cmd/"+program+"/config/reference.toml")
	text = regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(text, "$1")
	var file map[string]any
	if err := toml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	flatten(values, "", file)
	return values
}

func flatten(values map[string]any, prefix string, table map[string]any) {
	for key, value := range table {
		if prefix+key == "metrics.labels" { // whose keys are values
			values[prefix+key] = value
			continue
		}
		switch v := value.(type) {
		case map[string]any:
			flatten(values, prefix+key+".", v)
		case []map[string]any: // as TOML has it
			flatten(values, prefix+key+".*.", v[0])
		case []any: // as JSON has it
			if first, isTable := v[0:min(1, len(v))], prefix == ""; isTable {
				flatten(values, prefix+key+".*.", first[0].(map[string]any))
				continue
			}
			values[prefix+key] = v
		default:
			values[prefix+key] = v
		}
	}
}

// Each key of the program is an option with the program's default, and no other is.
func TestSettingsAreTheKeys(t *testing.T) {
	settings, defaults := readRecord(t).Settings, reference(t, "conntally")
	delete(settings, "collector")
	delete(settings, "device")
	delete(settings, "filter")
	keys("", reflect.TypeFor[config.Config](), func(name string, _ reflect.StructTag) {
		want := literal(t, defaults[name])
		switch {
		case slices.Contains([]string{"collector.*.address", "device.*.name", "filter.*.action"}, name):
			want = "none"
		case strings.HasPrefix(name, "device."):
			want = "[]"
		case strings.HasPrefix(name, "filter."):
			want = "null" // no condition
		}
		if got, is := settings[name]; !is {
			t.Errorf("no option services.conntally.settings.%s: add it to settings.nix, then %s", name, renew)
		} else if strings.Join(strings.Fields(got), "") != want {
			t.Errorf("services.conntally.settings.%s is %s by default, of the program it is %s", name, got, want)
		}
		delete(settings, name)
	})
	for name := range settings {
		t.Errorf("services.conntally.settings.%s is no key of the program", name)
	}
}

func literal(t *testing.T, value any) string {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What a reload can't change restarts the service, and nothing else does.
func TestRestartTriggers(t *testing.T) {
	want, got := map[string]any{}, map[string]any{}
	keys("", reflect.TypeFor[config.Config](), func(name string, tag reflect.StructTag) {
		if tag.Get("restart") != "" {
			want[name] = nil
		}
	})
	for table, values := range readRecord(t).minimal(t).Restart[0].(map[string]any) {
		for key := range values.(map[string]any) {
			got[table+"."+key] = nil
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("a restart for %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

// Nobody looks into a file of one's own: any change of it may be one for a restart.
func TestOwnFileRestarts(t *testing.T) {
	r := readRecord(t)
	for _, name := range []string{"file", "secret"} {
		if o := r.system(t, name); !reflect.DeepEqual(o.Restart, []any{o.File}) {
			t.Errorf("%s: a restart for %v, want %v", name, o.Restart, o.File)
		}
	}
}

// The program takes each file that the module generates, and takes it as meant.
func TestSettingsAreTaken(t *testing.T) {
	check := []string{labtest.Build(t, "conntally"), "run", "--check-config", "--config"}
	r := readRecord(t)
	for _, name := range r.exporters(t) {
		file := r.system(t, name).File
		if _, isPath := file.(string); isPath {
			continue
		}
		for _, inline := range []bool{false, true} { // as different writers of TOML do
			t.Run(fmt.Sprintf("%s, inline %v", name, inline), func(t *testing.T) {
				taken(t, check, file, inline)
			})
		}
	}
}

// taken has a program check a file, by the command whose last argument is its path.
func taken(t *testing.T, check []string, file any, inline bool) {
	t.Helper()
	text, err := toml.Marshal(whole(file))
	if inline {
		text, err = inlineTables(whole(file).(map[string]any)), nil
	}
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "conntally.toml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	check = append(slices.Clone(check), path)
	out, err := exec.Command(check[0], check[1:]...).CombinedOutput()
	if err != nil || string(out) != path+": ok\n" {
		t.Errorf("%v: %s\n%s", err, out, text)
	}
}

// inlineTables returns TOML without a single header.
func inlineTables(file map[string]any) []byte {
	var text bytes.Buffer
	for key, value := range file {
		fmt.Fprintf(&text, "%s = %s\n", key, inlineValue(value))
	}
	return text.Bytes()
}

func inlineValue(value any) string {
	var parts []string
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			parts = append(parts, key+" = "+inlineValue(v[key]))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	case []any:
		for i := range v {
			parts = append(parts, inlineValue(v[i]))
		}
		return "[ " + strings.Join(parts, ", ") + " ]"
	}
	text, err := json.Marshal(value) // texts, numbers and booleans are the same in TOML
	if err != nil {
		panic(err)
	}
	return string(text)
}

// whole gives numbers that JSON has made floats of their kind back.
func whole(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = whole(v[key])
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return value
}

// Each file is checked while the system is built, if it is there and the program runs.
func TestFilesAreChecked(t *testing.T) {
	r := readRecord(t)
	for _, name := range r.exporters(t) {
		want := name != "secret" && name != "cross"
		if got := r.system(t, name).Checked; got != want {
			t.Errorf("%s: checked %v, want %v", name, got, want)
		}
	}
}

// The system with everything has each key, none of them as by default.
func TestEverythingIsTried(t *testing.T) {
	everything, defaults := map[string]any{}, reference(t, "conntally")
	delete(defaults, "devices.enable") // is off in a system of its own: metrics need it
	file := readRecord(t).system(t, "everything").File.(map[string]any)
	list := file["collector"].([]any)
	last := list[len(list)-1].(map[string]any)
	last["vrf"] = list[len(list)-2].(map[string]any)["vrf"] // instead of an interface
	file["collector"] = []any{last}
	flatten(everything, "", file)
	for name, value := range defaults {
		switch got, is := everything[name]; {
		case !is && name == "collector.*.protocol":
		case !is:
			t.Errorf("%s is not tried", name)
		case literal(t, got) == literal(t, value) && !strings.HasPrefix(name, "filter.") && name != "collector.*.protocol":
			t.Errorf("%s is tried with its default, %v", name, got)
		}
	}
}
