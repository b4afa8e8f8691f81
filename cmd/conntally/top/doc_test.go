package top

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestDocumentHasKeysOfJSONAndKeyboard: docs/control.md describes what `top --json` prints,
// and each key that the help shows.
func TestDocumentHasKeysOfJSONAndKeyboard(t *testing.T) {
	text, err := os.ReadFile("../../../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range []any{jsonTop{}, jsonRow{}} {
		of := reflect.TypeOf(object)
		for i := range of.NumField() {
			key, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(string(text), "`"+key+"`") {
				t.Errorf("docs/control.md doesn't describe %q", key)
			}
		}
	}
	for _, line := range helpLines(200) {
		head := line.Text[:min(16, len(line.Text))]
		for _, key := range strings.Fields(strings.ReplaceAll(head, ",", "")) {
			if !strings.Contains(string(text), key) {
				t.Errorf("docs/control.md has no key %s", key)
			}
		}
	}
}
