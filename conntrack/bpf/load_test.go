//go:build amd64 || arm64 || riscv64

package bpf

import (
	"runtime"
	"testing"

	"github.com/cilium/ebpf/btf"
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
