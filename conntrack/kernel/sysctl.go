package kernel

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sysctlDir holds the settings of the calling thread's network namespace, but
// for _max and _buckets, which are the machine's.
const sysctlDir = "/proc/sys/net/netfilter/nf_conntrack_"

// ReadSysctl reads net.netfilter.nf_conntrack_NAME. Each dump reads some 30 settings, and
// os.ReadFile would allocate 2 KB for each.
func ReadSysctl(name string) (int, error) {
	path := sysctlDir + name
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var b [32]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return strconv.Atoi(strings.TrimSpace(string(b[:n])))
}

// Setting is one of the sysctls that accounting depends on.
type Setting struct {
	Name string // full, as sysctl(8) takes it
	Want int
	Was  int
	Err  error // why it doesn't have the wanted value
	// ReadOnly is whether one with another value can't be written even by root, as in many
	// containers.
	ReadOnly bool
}

// Changed reports whether Enable had to turn the setting on.
func (s Setting) Changed() bool { return s.Err == nil && s.Was != s.Want }

// Command returns the shell command that sets it.
func (s Setting) Command() string { return fmt.Sprintf("sysctl -w %s=%d", s.Name, s.Want) }

func (s Setting) path() string { return "/proc/sys/" + strings.ReplaceAll(s.Name, ".", "/") }

// readOnly reports whether a path is on a file system that is mounted read-only.
func readOnly(path string) bool {
	var s unix.Statfs_t
	return unix.Statfs(path, &s) == nil && s.Flags&unix.ST_RDONLY != 0
}

// Settings reads byte counters, time stamps and, where events matter, those, in this order, and
// leaves them as they are.
func Settings(events bool) []Setting {
	names := []string{"acct", "timestamp"}
	if events {
		names = append(names, "events")
	}
	settings := make([]Setting, 0, len(names))
	for _, name := range names {
		s := Setting{Name: "net.netfilter.nf_conntrack_" + name, Want: 1}
		s.Was, s.Err = ReadSysctl(name)
		s.ReadOnly = s.Changed() && readOnly(s.path())
		settings = append(settings, s)
	}
	return settings
}

// Enable turns settings on. They take effect for connections that begin later.
func Enable(settings []Setting) {
	for i := range settings {
		s := &settings[i]
		if s.Changed() {
			s.Err = s.write(s.Want)
		}
	}
}

// Undo gives a setting that Enable has turned on its former value.
func (s Setting) Undo() error { return s.write(s.Was) }

func (s Setting) write(value int) error {
	return os.WriteFile(s.path(), []byte(strconv.Itoa(value)), 0)
}
