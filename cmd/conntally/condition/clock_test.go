package condition

import (
	"os"
	"path/filepath"
	"testing"
)

// TestNTPIsSwitchedOnOnlyWhereAClientIsInstalled: without one, `timedatectl set-ntp true` fails.
func TestNTPIsSwitchedOnOnlyWhereAClientIsInstalled(t *testing.T) {
	const (
		booted = "run/systemd/system/"
		list   = "usr/lib/systemd/ntp-units.d/50-chrony.list"
		unit   = "usr/lib/systemd/system/chrony.service"
		masked = "etc/systemd/system/chrony.service"
	)
	for name, c := range map[string]struct {
		paths []string
		want  bool
	}{
		"a client":                   {[]string{booted, list, unit}, true},
		"another init system":        {[]string{list, unit}, false},
		"no client":                  {[]string{booted}, false},
		"a client that isn't listed": {[]string{booted, unit}, false},
		"a list without its client":  {[]string{booted, list}, false},
		"a client that is masked":    {[]string{booted, list, unit, masked}, false},
	} {
		root := t.TempDir()
		for _, path := range c.paths {
			path := filepath.Join(root, path)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, path := range c.paths {
			var err error
			switch path {
			case booted:
				err = os.MkdirAll(filepath.Join(root, path), 0o700)
			case masked:
				err = os.Symlink(os.DevNull, filepath.Join(root, path))
			default:
				err = os.WriteFile(filepath.Join(root, path), []byte("chrony.service\n"), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if got := hasNTPUnit(root); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
