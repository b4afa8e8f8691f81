//go:build amd64 || arm64 || riscv64

package bpf

import (
	"fmt"
	"os"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack/kernel"
)

// mostExpired bounds how many ends are remembered that a walk has shown, until the kernel frees their
// entries. It does so within two minutes.
const mostExpired = 32_768

// maxExpired returns how many fit: no more than connections.
func maxExpired() uint32 {
	n, err := kernel.ReadSysctl("max")
	if err != nil || n <= 0 || n > mostExpired {
		n = mostExpired
	}
	return uint32(n)
}

// loadedWalk is what the kernel holds for a walk.
type loadedWalk struct {
	collection *ebpf.Collection
	marker     marker
}

// loadWalk loads the programs of a walk, which share maps with that of ends, and tests them.
func (l *loaded) loadWalk(step Step) (*walk, error) {
	w, err := l.walk.load(l, step.walk())
	if err == nil {
		err = w.test()
	}
	if err != nil {
		l.walk.close()
		return nil, shorten(err)
	}
	return w, nil
}

func (l *loadedWalk) load(of *loaded, program string) (*walk, error) {
	o := of.options
	o.MapReplacements = of.collection.Maps
	var err error
	if l.collection, err = ebpf.NewCollectionWithOptions(only(of.spec, "find", program),
		o); err != nil {
		return nil, err
	}
	m, err := kernel.OpenMarker()
	if err != nil {
		return nil, err
	}
	l.marker = m
	page := os.Getpagesize()
	size := (int(of.spec.Maps["walks"].ValueSize) + page - 1) &^ (page - 1)
	shared := of.mmap(&err, l.collection.Maps["walks"].FD(), 0, size,
		unix.PROT_READ|unix.PROT_WRITE)
	records := of.mmap(&err, l.collection.Maps["records"].FD(), 0, walkRoom*recordSize,
		unix.PROT_READ)
	if err != nil {
		return nil, err
	}
	w := &walk{
		sharedWalk: (*sharedWalk)(unsafe.Pointer(&shared[0])), marker: m,
		records: unsafe.Slice((*record)(unsafe.Pointer(unsafe.SliceData(records))), walkRoom),
		find:    runner(l.collection.Programs["find"], make([]byte, packet)),
		run:     runner(l.collection.Programs[program], nil),
		buckets: tableSize, grace: uint32(jiffies()) / 10,
	}
	w.address = m.Addr().As4()
	return w, nil
}

func tableSize() int {
	n, _ := kernel.ReadSysctl("buckets") // 0 is an error to the walk
	return n
}

// packet is the size of the packet, of which nothing is read, that a program for packets is run with.
const packet = 64

// runner returns a function that runs a program once, with a packet or without. It allocates
// nothing.
func runner(p *ebpf.Program, data []byte) func() error {
	attr := &struct { // of union bpf_attr
		fd, retval, inSize, outSize uint32
		in                          unsafe.Pointer
		out                         uint64
		repeat, duration            uint32
		contextIn, contextOut       uint32
		context, contextOutAt       uint64
		flags, cpu, batch, _        uint32
	}{fd: uint32(p.FD()), inSize: uint32(len(data)), in: unsafe.Pointer(unsafe.SliceData(data))}
	return func() error {
		_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_TEST_RUN,
			uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr))
		if errno != 0 {
			return fmt.Errorf("bpf: %w", errno)
		}
		return nil
	}
}

func (l *loadedWalk) close() {
	if l.marker != nil {
		_ = l.marker.Close()
	}
	if l.collection != nil {
		l.collection.Close()
	}
	*l = loadedWalk{}
}

var _ marker = (*kernel.Marker)(nil)
