package condition

import (
	"errors"
	"fmt"
	"os"

	"github.com/conntally/conntally/conntrack/bpf"
)

// OfSource returns the condition of ends that are read by netlink, not by eBPF, because of err.
func OfSource(err error) Condition {
	c, advice := Condition{ID: SourceFellBack, Detail: err.Error()}, ""
	switch {
	case errors.Is(err, bpf.ErrNotLoaded):
		c.Fix = Modprobe
	case errors.Is(err, bpf.ErrNotTracked):
		advice = "let no notrack rule exempt loopback"
	case errors.Is(err, bpf.ErrNoBTF), errors.Is(err, bpf.ErrNoModuleBTF):
		advice = "use a kernel with this option"
	case errors.Is(err, bpf.ErrNoFunction):
		advice = "use a later kernel"
	case errors.Is(err, bpf.ErrNoTracefs):
		advice = "mount it at /sys/kernel/tracing"
	case errors.Is(err, os.ErrPermission):
		advice = "grant them"
	}
	if advice != "" {
		c.Detail = fmt.Sprintf("%v: %s", err, advice)
	}
	return c
}
