package bpf

import (
	"errors"
	"fmt"
	"os"
)

// Step is a way to have the program called when an entry ends.
type Step string

// The steps, the cheapest first. Netlink is none of them: the kernel sends an event for each end.
const (
	Netlink     Step = ""
	Fentry      Step = "fentry"      // reads entries in place: Linux 6.2
	FentryCopy  Step = "fentry.copy" // copies entries first, as the others do
	KprobeMulti Step = "kprobe.multi"
	Kprobe      Step = "kprobe"
)

// Steps returns all steps, in the order in which they are tried.
func Steps() []Step { return []Step{Fentry, FentryCopy, KprobeMulti, Kprobe} }

// The reasons why ends can't be read by eBPF. What the kernel itself answers, such as
// os.ErrPermission, is wrapped as well.
var (
	// ErrNotLoaded passes: nf_conntrack is not loaded yet.
	ErrNotLoaded = errors.New("nf_conntrack is not loaded")
	// ErrNotTracked passes: no rule has connections tracked, or loopback is exempt from it,
	// so that the program can't be tested.
	ErrNotTracked = errors.New(
		"no connection on loopback is tracked, with which the eBPF program is tested")

	ErrArchitecture = errors.New("conntally has no eBPF program for this architecture")
	ErrNoBTF        = errors.New("the kernel doesn't describe its types (CONFIG_DEBUG_INFO_BTF)")
	ErrNoModuleBTF  = errors.New(
		"the kernel doesn't describe the types of nf_conntrack (CONFIG_DEBUG_INFO_BTF_MODULES)")
	ErrNoFunction = errors.New("the kernel has no function nf_ct_destroy: it is older than 5.17")
	ErrRights     = fmt.Errorf("%w: loading an eBPF program requires CAP_BPF, CAP_PERFMON and "+
		"CAP_SYS_ADMIN", os.ErrPermission)
	ErrForbidden = errors.New("the kernel forbids eBPF programs that read its memory, even to root " +
		"(lockdown, or a security module)")
	ErrNoTracefs = errors.New("the kernel attaches eBPF programs to its functions by tracefs alone, " +
		"which is not mounted")
	ErrSilent = errors.New("the eBPF program was loaded, but reported no end of a connection")
	ErrWrong  = errors.New("the eBPF program reported the end of a connection wrongly")
)

// passes reports whether an error may be gone at the next try.
func passes(err error) bool {
	return errors.Is(err, ErrNotLoaded) || errors.Is(err, ErrNotTracked)
}
