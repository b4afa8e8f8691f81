package probe

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow/account"
)

// TestDevicesFileIsContinuedOrPutAside: what can't be used is renamed, and devices are then
// counted from scratch.
func TestDevicesFileIsContinuedOrPutAside(t *testing.T) {
	const good = `{"version":1,"devices":[{"device":"192.0.2.10","first_seen":1,"last_seen":2,` +
		`"usage":[[100,1,200,2],[0,0,0,0]]}]}`
	cases := []struct {
		name, text string
		devices    int
		refused    bool
	}{
		{"good", good, 1, false},
		{"cut", good[:len(good)-9], 0, true},
		{"not JSON", "devices", 0, true},
		{"of a later version", strings.Replace(good, `"version":1`, `"version":2`, 1), 0, true},
		{"no device", strings.Replace(good, "192.0.2.10", "nonsense", 1), 0, true},
		{"too large", good + strings.Repeat(" ", devicesFileSize), 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			directory := t.TempDir()
			path := filepath.Join(directory, DevicesFile)
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			report := func(err error) {
				if err != nil {
					t.Error(err)
				}
			}
			accounts := account.New(account.Options{Devices: true, Max: 10})
			f := openDevicesFile(directory, 10, accounts, report, zap.NewNop())
			s := accounts.Snapshot(conntrack.Timestamp{Wall: 3})
			if len(s.Devices) != c.devices {
				t.Errorf("%d devices, want %d", len(s.Devices), c.devices)
			}
			if _, err := os.Stat(path + ".refused"); (err == nil) != c.refused {
				t.Errorf("put aside: %v, want %t", err, c.refused)
			}
			f.save(s)
			again := account.New(account.Options{Devices: true, Max: 10})
			openDevicesFile(directory, 10, again, report, zap.NewNop())
			if n := len(again.Snapshot(conntrack.Timestamp{Wall: 3}).Devices); n != c.devices {
				t.Errorf("%d devices after a restart", n)
			}
		})
	}
}

// TestDevicesFileOfMoreDevicesIsContinued: those that find no room any more count as other.
func TestDevicesFileOfMoreDevicesIsContinued(t *testing.T) {
	const devices, room = 1000, 4
	directory := t.TempDir()
	var text strings.Builder
	text.WriteString(`{"version":1,"devices":[`)
	for i := range devices {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, `{"device":"10.0.%d.%d","first_seen":1,"last_seen":2,`+
			`"usage":[[100,1,200,2],[0,0,0,0]]}`, i/250, 1+i%250)
	}
	text.WriteString("]}")
	path := filepath.Join(directory, DevicesFile)
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	accounts := account.New(account.Options{Devices: true, Max: room})
	openDevicesFile(directory, room, accounts, func(error) {}, zap.NewNop())
	var up uint64
	s := accounts.Snapshot(conntrack.Timestamp{Wall: 3})
	for i := range s.Devices {
		for _, usage := range s.Devices[i].Usage {
			up += usage.Up.Bytes
		}
	}
	if up != devices*100 || len(s.Devices) > room+2 {
		t.Errorf("%d devices have %d bytes, want %d", len(s.Devices), up, devices*100)
	}
}

// TestDevicesFileThatCannotBeWrittenIsReported: the old one stays as it was.
func TestDevicesFileThatCannotBeWrittenIsReported(t *testing.T) {
	directory := t.TempDir()
	var failure error
	accounts := account.New(account.Options{Devices: true, Max: 10})
	f := openDevicesFile(directory, 10, accounts, func(err error) { failure = err }, zap.NewNop())
	f.path = filepath.Join(directory, "gone", DevicesFile)
	f.save(accounts.Snapshot(conntrack.Timestamp{}))
	if failure == nil {
		t.Error("no failure is reported")
	}
}
