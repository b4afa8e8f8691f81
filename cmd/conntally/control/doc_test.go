package control_test

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally/control"
)

// TestDocumentListsAllKeys: docs/control.md has a row for each JSON key of each object.
func TestDocumentListsAllKeys(t *testing.T) {
	text, err := os.ReadFile("../../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	for heading, object := range map[string]any{
		"### /v1/status":     control.Status{},
		"### /v1/devices":    control.Device{},
		"### /v1/flows":      control.Flows{},
		"### /v1/conditions": control.Status{}.Conditions,
	} {
		_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
		if !found {
			t.Errorf("docs/control.md has no %q", heading)
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		section, _, _ = strings.Cut(section, "\n### ")
		for _, key := range keys(reflect.TypeOf(object)) {
			if heading == "### /v1/status" && strings.HasPrefix(key, "conditions.") {
				continue // those of /v1/conditions
			}
			if !strings.Contains(section, "| `"+key+"` | ") {
				t.Errorf("docs/control.md: %s has no row of %s", heading, key)
			}
		}
	}
}

// keys returns the JSON keys of a type; those of an object in it after its own and a dot.
func keys(of reflect.Type) (all []string) {
	for of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || of == reflect.TypeFor[time.Time]() {
		return nil
	}
	for i := range of.NumField() {
		f := of.Field(i)
		if f.Anonymous {
			all = append(all, keys(f.Type)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, name)
		for _, inner := range keys(f.Type) {
			all = append(all, name+"."+inner)
		}
	}
	return all
}
