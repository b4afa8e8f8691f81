//go:build amd64 || arm64 || riscv64

package bpf

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// TestLoadedKeepsNoTypes: the kernel's types are megabytes, which only loading takes.
func TestLoadedKeepsNoTypes(t *testing.T) {
	heap := func() uint64 {
		runtime.GC()
		runtime.GC() // what the first one has finalized
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const most = 1 << 20
	before, l := heap(), &loaded{}
	defer l.close()
	if err := l.load(btf.NewCache(), Kprobe, 1, sizesFor(0, 0)); err != nil {
		t.Skip(err)
	}
	l.forgetTypes()
	if after := heap(); after > before+most {
		t.Errorf("%d bytes more than before loading", after-before)
	}
}

// TestRefusalIsExplained: not all is forbidden where the last step failed for another reason.
func TestRefusalIsExplained(t *testing.T) {
	refused, other := fmt.Errorf("fentry: %w", unix.EPERM), errors.New("neither is mounted")
	old := fmt.Errorf("kprobe.multi: %w", ebpf.ErrNotSupported)
	verifier := fmt.Errorf("kprobe: %w", &ebpf.VerifierError{Cause: unix.EINVAL})
	for _, c := range []struct {
		name             string
		failed           []error
		capable, tracefs bool
		want             error
	}{
		{"no rights", []error{refused, refused}, false, true, ErrRights},
		{"no right to the module's types", []error{refused, other}, false, false, ErrRights},
		{"lockdown", []error{refused, refused}, true, true, ErrForbidden},
		{"no tracefs", []error{refused, other}, true, false, ErrNoTracefs},
		{"a wrong program", []error{refused, verifier}, true, false, nil},
		{"an old kernel", []error{refused, old}, true, false, nil},
		{"something else", []error{refused, other}, true, true, nil},
	} {
		if got := refusal(c.failed, c.capable, c.tracefs); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
