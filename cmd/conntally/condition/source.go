package condition

import (
	"errors"
	"os"

	"github.com/conntally/conntally/conntrack/bpf"
)

// OfSource returns the condition of ends that are read by netlink, not by eBPF, because of err.
func OfSource(err error) Condition {
	c := Condition{ID: SourceFellBack, Detail: err.Error()}
	switch {
	case errors.Is(err, bpf.ErrNotLoaded):
		c.Fix = Modprobe
	case errors.Is(err, bpf.ErrNotTracked):
		c.Advice = "have loopback tracked as well: no notrack rule for it"
	case errors.Is(err, bpf.ErrNoBTF), errors.Is(err, bpf.ErrNoModuleBTF):
		c.Advice = "use a kernel with this option, or source = \"netlink\""
	case errors.Is(err, bpf.ErrNoFunction):
		c.Advice = "use Linux 5.17 or later, or source = \"netlink\""
	case errors.Is(err, os.ErrPermission):
		c.Advice = "grant CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN: docs/ebpf.md"
	}
	return c
}
