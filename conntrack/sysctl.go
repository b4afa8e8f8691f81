package conntrack

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// sysctlDir holds the settings of the calling thread's network namespace, but
// for _max and _buckets, which are the machine's.
const sysctlDir = "/proc/sys/net/netfilter/nf_conntrack_"

// ReadSysctl reads net.netfilter.nf_conntrack_NAME.
func ReadSysctl(name string) (int, error) {
	b, err := os.ReadFile(sysctlDir + name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// Setting is one of the sysctls that accounting depends on.
type Setting struct {
	Name string // full, as sysctl(8) takes it
	Want int
	Was  int
	Err  error // why it is not as wanted
}

// Changed tells whether Enable had to turn the setting on.
func (s Setting) Changed() bool { return s.Err == nil && s.Was != s.Want }

// Command returns what an administrator types to mend it.
func (s Setting) Command() string { return fmt.Sprintf("sysctl -w %s=%d", s.Name, s.Want) }

// Enable turns on byte counters, time stamps and events, and reports each. They
// take effect for connections that begin later.
func Enable() []Setting {
	names := [...]string{"acct", "timestamp", "events"}
	settings := make([]Setting, 0, len(names))
	for _, name := range names {
		settings = append(settings, enable(name))
	}
	return settings
}

func enable(name string) Setting {
	s := Setting{Name: "net.netfilter.nf_conntrack_" + name, Want: 1}
	s.Was, s.Err = ReadSysctl(name)
	if s.Err == nil && s.Was != s.Want {
		s.Err = os.WriteFile(sysctlDir+name, []byte("1"), 0)
	}
	return s
}
