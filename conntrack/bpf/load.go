//go:build amd64 || arm64 || riscv64

package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack/internal/poll"
)

const (
	module  = "nf_conntrack"
	destroy = "nf_ct_destroy"          // called once for each entry that ends
	confirm = "__nf_conntrack_confirm" // and for each that begins
)

// hook is a program of ends.bpf.c and the kernel's function at which it is called.
type hook struct{ program, function string }

// hooks returns a step's, in the order in which they are attached: connections that begin before
// it is known how they end would be remembered for longer.
func (s Step) hooks() [2]hook {
	switch s {
	case Fentry:
		return [...]hook{{"end_direct", destroy}, {"first_direct", confirm}}
	case FentryCopy:
		return [...]hook{{"end_fentry", destroy}, {"first_fentry", confirm}}
	}
	return [...]hook{{"end_kprobe", destroy}, {"first_kprobe", confirm}}
}

// walk returns the program that walks over the table and reads entries as the step's programs do.
func (s Step) walk() string {
	if s == Fentry {
		return "walk_direct"
	}
	return "walk_copied"
}

// loader loads programs. It reads the kernel's types once, however many steps are tried.
type loader struct{ types *btf.Cache }

func newLoader() *loader { return &loader{btf.NewCache()} }

// load loads a step's programs for the entries of one network namespace, and attaches them.
func (from *loader) load(step Step, netns uint32, of sizes) (_ *ends, err error) {
	// The kernel's types are megabytes. Where huge pages are "always", the kernel would fill with such
	// what they leave.
	_ = unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0) // it takes more memory without
	l := &loaded{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if err := l.load(from.types, step, netns, of); err != nil {
		return nil, err
	}
	for _, h := range step.hooks() {
		if err := l.attach(step, h); err != nil {
			return nil, err
		}
	}
	e := &ends{step: step, missed: l.missed, close: l.close}
	if err := l.share(e, of.ring); err != nil {
		return nil, err
	}
	e.walk, e.walkErr = l.loadWalk(step)
	l.forgetTypes()
	return e, nil
}

// forgetTypes gives up what only loading takes.
func (l *loaded) forgetTypes() { l.spec, l.options = nil, ebpf.CollectionOptions{} }

// loaded is what the kernel holds for us.
type loaded struct {
	spec       *ebpf.CollectionSpec   // until all is loaded
	options    ebpf.CollectionOptions // the same
	collection *ebpf.Collection
	end        *ebpf.Program
	links      []link.Link
	mapped     [][]byte
	poller     *poll.Poller
	walk       loadedWalk
}

func (l *loaded) load(types *btf.Cache, step Step, netns uint32, of sizes) error {
	spec, err := loadEnds()
	if err != nil {
		return err
	}
	spec.Maps["ring"].MaxEntries = uint32(of.ring)
	spec.Maps["firsts"].MaxEntries = uint32(of.sets)
	err = errors.Join(spec.Variables["own_netns"].Set(netns),
		spec.Variables["last_set"].Set(uint32(of.sets-1)))
	if err != nil {
		return err
	}
	spec.Maps["expired"].MaxEntries = maxExpired()
	o := &l.options
	if o.Programs.KernelTypes, err = types.Kernel(); err != nil {
		return err
	}
	// Where conntrack is a module, its types are there. Those of other modules are left alone.
	if of, err := types.Module(module); err == nil {
		o.Programs.ExtraRelocationTargets = []*btf.Spec{of}
	}
	l.spec = spec
	end, first := step.hooks()[0].program, step.hooks()[1].program
	part := only(spec, end, first)
	if step == KprobeMulti {
		for _, p := range part.Programs {
			p.AttachType = ebpf.AttachTraceKprobeMulti
		}
	}
	if l.collection, err = ebpf.NewCollectionWithOptions(part, *o); err != nil {
		return err
	}
	l.end = l.collection.Programs[end]
	return nil
}

// only returns a copy of spec with the programs of those names alone.
func only(spec *ebpf.CollectionSpec, names ...string) *ebpf.CollectionSpec {
	part := spec.Copy()
	for name := range part.Programs {
		if !slices.Contains(names, name) {
			delete(part.Programs, name)
		}
	}
	return part
}

func (l *loaded) attach(step Step, h hook) (err error) {
	var attached link.Link
	program := l.collection.Programs[h.program]
	switch step {
	case Fentry, FentryCopy:
		attached, err = link.AttachTracing(link.TracingOptions{Program: program})
	case KprobeMulti:
		attached, err = link.KprobeMulti(program,
			link.KprobeMultiOptions{Symbols: []string{h.function}})
	default:
		attached, err = link.Kprobe(h.function, program, nil)
	}
	if err == nil {
		l.links = append(l.links, attached)
	}
	return err
}

// share maps the memory that the program writes.
func (l *loaded) share(e *ends, ringBytes int) (err error) {
	page, fd := os.Getpagesize(), l.collection.Maps["ring"].FD()
	consumer := l.mmap(&err, fd, 0, page, unix.PROT_READ|unix.PROT_WRITE)
	producer := l.mmap(&err, fd, page, page+2*ringBytes, unix.PROT_READ)
	variables := l.mmap(&err, l.collection.Maps[".bss"].FD(), 0, page, unix.PROT_READ)
	if err != nil {
		return err
	}
	if l.poller, err = poll.New(); err != nil {
		return err
	}
	e.poller, e.fd = l.poller, fd
	e.lost = (*atomic.Uint64)(unsafe.Pointer(&variables[0])) // the only variable
	e.ring = ring{
		consumer: (*atomic.Uint64)(unsafe.Pointer(&consumer[0])),
		producer: (*atomic.Uint64)(unsafe.Pointer(&producer[0])),
		data:     producer[page:],
	}
	return nil
}

func (l *loaded) mmap(failed *error, fd, offset, size, protection int) []byte {
	if *failed != nil {
		return nil
	}
	b, err := unix.Mmap(fd, int64(offset), size, protection, unix.MAP_SHARED)
	if err != nil {
		*failed = os.NewSyscallError("mmap", err)
		return nil
	}
	l.mapped = append(l.mapped, b)
	return b
}

// missed returns how often the kernel skipped the program because it was interrupted by itself.
func (l *loaded) missed() uint64 {
	stats, err := l.end.Stats()
	if err != nil {
		return 0 // without it, nothing is known of them
	}
	return stats.RecursionMisses
}

func (l *loaded) close() {
	l.walk.close()
	for _, attached := range slices.Backward(l.links) {
		_ = attached.Close()
	}
	for _, b := range l.mapped {
		_ = unix.Munmap(b)
	}
	if l.poller != nil {
		_ = l.poller.Close()
	}
	if l.collection != nil {
		l.collection.Close()
	}
}

// explain finds out why no program could be loaded or attached, by what failed of each step.
func explain(failed []error) error {
	if _, missing := os.Stat("/sys/kernel/btf/vmlinux"); missing != nil {
		return ErrNoBTF
	}
	_, builtIn := os.Stat("/sys/module/" + module + "/initstate")
	if _, missing := os.Stat("/sys/kernel/btf/" + module); missing != nil && builtIn == nil {
		return ErrNoModuleBTF
	}
	err := errors.Join(failed...)
	if errors.Is(err, btf.ErrNotFound) && !isFunction(destroy) {
		return ErrNoFunction
	}
	if why := refusal(failed, isCapable(), hasTracefs()); why != nil {
		return why
	}
	return fmt.Errorf("the kernel refuses the eBPF program: %w", shorten(err))
}

// refusal returns what the kernel demands that isn't there; nil if that isn't why the steps failed.
// The last one asks least of it: where that failed for another reason, not all is forbidden.
func refusal(failed []error, capable, tracefs bool) error {
	var verifier *ebpf.VerifierError
	last := failed[len(failed)-1]
	switch {
	case errors.Is(errors.Join(failed...), unix.EPERM) && !capable:
		return ErrRights
	case errors.Is(last, unix.EPERM):
		return ErrForbidden
	case !tracefs && !errors.As(last, &verifier) && !errors.Is(last, ebpf.ErrNotSupported):
		return ErrNoTracefs
	}
	return nil
}

// hasTracefs reports whether kprobes can be made by files, as some kernels demand.
func hasTracefs() bool {
	for _, at := range []string{"/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"} {
		if _, err := os.Stat(at); err == nil {
			return true
		}
	}
	return false
}

// shorten leaves out the verifier's log, of which one line is enough.
func shorten(err error) error {
	var verifier *ebpf.VerifierError
	if errors.As(err, &verifier) {
		return verifier
	}
	return err
}
