package show

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally/condition"
	"github.com/conntally/conntally/cmd/conntally/control"
	"github.com/conntally/conntally/cmd/conntally/control/controltest"
	"github.com/conntally/conntally/cmd/internal/text"
)

var update = flag.Bool("update", false, "rewrite testdata")

// TestTables compares each command's output with testdata: on a terminal of 80 and of 60
// columns, and piped.
func TestTables(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	source := controltest.New(at)
	devices, _ := source.Devices(t.Context(), 0)
	flows, _ := source.Flows(t.Context(), "", 5, 0)
	status, _ := source.Status(t.Context())
	wrong := status
	wrong.Conditions = []condition.Condition{
		condition.Complete(condition.Condition{ID: condition.AcctOff}),
		condition.Complete(condition.Condition{
			ID: condition.CollectorFails, Subject: "192.0.2.10:2055", Detail: "connection refused",
		}),
	}
	hostile := &control.Devices{Devices: []control.Device{
		{Name: "a\x1b[2J\x07b\u202ec\nd", Addresses: []string{"192.0.2.3"}, Online: true},
		{Name: strings.Repeat("冷蔵庫", 20), Addresses: []string{"2001:db8:1:2:3:4:5:6"}},
	}}
	for name, print := range map[string]func(Page) error{
		"status":     func(p Page) error { return p.Status(&status) },
		"conditions": func(p Page) error { return p.Status(&wrong) },
		"devices":    func(p Page) error { return p.Devices(devices) },
		"flows":      func(p Page) error { return p.Flows(flows) },
		"hostile":    func(p Page) error { return p.Devices(hostile) },
		"none":       func(p Page) error { return p.Devices(&control.Devices{}) },
	} {
		var all bytes.Buffer
		for _, columns := range []int{80, 60, 0} {
			var out bytes.Buffer
			if err := print(Page{Out: &out, Columns: columns, Now: at}); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				if columns > 0 && text.Width(line) > columns && !strings.Contains(line, "fix:") {
					t.Errorf("%s: %d columns: %q", name, text.Width(line), line)
				}
				if line != text.Clean(line) {
					t.Errorf("%s: control characters: %q", name, line)
				}
			}
			all.WriteString(strings.Repeat("-", max(columns, 20)) + "\n" + out.String())
		}
		golden(t, name, all.Bytes())
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %v: got\n%s\nwant\n%s", path, err, got, want)
	}
}
