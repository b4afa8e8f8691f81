package measure

import (
	"bufio"
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack/kernel"
)

// Machine says where something was measured.
type Machine struct {
	CPU     string // model
	Cores   int
	Memory  int64 // bytes
	Kernel  string
	System  string // distribution
	Arch    string
	Go      string
	Max     int // nf_conntrack_max
	Buckets int // nf_conntrack_buckets
	Virtual bool
}

// ReadMachine fills in what can be found out, and leaves out the rest.
func ReadMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Arch: runtime.GOARCH, Go: runtime.Version()}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		m.CPU = first(b, ":", "model name", "Model", "Hardware")
		m.Virtual = bytes.Contains(b, []byte(" hypervisor"))
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		kB, _, _ := strings.Cut(first(b, ":", "MemTotal"), " ")
		n, _ := strconv.ParseInt(kB, 10, 64)
		m.Memory = n * 1024
	}
	if b, err := os.ReadFile("/etc/os-release"); err == nil {
		m.System = strings.Trim(first(b, "=", "PRETTY_NAME"), `"`)
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel, _, _ = strings.Cut(unix.ByteSliceToString(name.Release[:]), "-")
	}
	m.Max, _ = kernel.ReadSysctl("max")
	m.Buckets, _ = kernel.ReadSysctl("buckets")
	return m
}

// first returns the value of the first line that has one of the keys.
func first(text []byte, separator string, keys ...string) string {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), separator)
		for _, k := range keys {
			if strings.TrimSpace(key) == k {
				return strings.TrimSpace(value)
			}
		}
	}
	return ""
}
