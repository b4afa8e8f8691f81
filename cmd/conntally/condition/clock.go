package condition

import (
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is the system's.
type Clock struct {
	Now     time.Time
	Synced  bool
	NTPUnit bool // systemd has an NTP client that it can start
}

func readClock() Clock {
	var t unix.Timex // asks, and sets nothing
	state, err := unix.Adjtimex(&t)
	return Clock{
		Now:     time.Now(),
		Synced:  err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0,
		NTPUnit: hasNTPUnit("/"),
	}
}

// hasNTPUnit reports whether `timedatectl set-ntp true` has a unit to start: one that an NTP
// client lists, as systemd-timedated(8) has it, and that is installed and not masked.
func hasNTPUnit(root string) bool {
	if _, err := os.Stat(filepath.Join(root, "run/systemd/system")); err != nil { // sd_booted(3)
		return false
	}
	for _, dir := range systemdDirectories() {
		// The pattern is a good one.
		lists, _ := filepath.Glob(filepath.Join(root, dir, "ntp-units.d/*.list"))
		for _, list := range lists {
			b, _ := os.ReadFile(list) // what can't be read lists nothing
			for line := range strings.Lines(string(b)) {
				if unit := strings.TrimSpace(line); unit != "" && installed(root, unit) {
					return true
				}
			}
		}
	}
	return false
}

// installed reports whether there is a unit that is not masked.
func installed(root, unit string) bool {
	for _, dir := range systemdDirectories() {
		info, err := os.Stat(filepath.Join(root, dir, "system", unit))
		if err == nil {
			return info.Mode().IsRegular() // one that is masked is /dev/null
		}
	}
	return false
}

// systemdDirectories are where systemd looks for what is configured, the first one first.
func systemdDirectories() []string {
	return []string{"etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd",
		"lib/systemd"}
}

// firstYear is before this program was written: an earlier clock was never set.
const firstYear = 2020

func (k *Kernel) ofClock() []Condition {
	var c Condition
	switch {
	case k.Clock.Now.Year() < firstYear:
		c.ID, c.Detail = ClockUnset, "it says "+k.Clock.Now.Format(time.DateOnly)
	case !k.Clock.Synced:
		c.ID = ClockUnsynced
	default:
		return nil
	}
	if k.Clock.NTPUnit {
		c.Fix = "timedatectl set-ntp true"
	}
	return []Condition{c}
}
