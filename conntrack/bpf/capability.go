package bpf

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capabilities returns those that loading the program takes. CAP_SYS_ADMIN is for the types of a
// kernel module.
func capabilities() [3]uint { return [3]uint{unix.CAP_BPF, unix.CAP_PERFMON, unix.CAP_SYS_ADMIN} }

// DropCapabilities gives up, for the whole process, the capabilities that Attach takes: for good,
// since no program that it executes can have more than it. What is loaded goes on without them.
func DropCapabilities() error {
	_, _, errno := syscall.AllThreadsSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // of 32 capabilities each
	if err := unix.Capget(&header, &data[0]); err != nil {
		return os.NewSyscallError("capget", err)
	}
	for _, c := range capabilities() {
		word, bit := &data[c/32], uint32(1)<<(c%32)
		word.Effective &^= bit
		word.Permitted &^= bit
		word.Inheritable &^= bit
	}
	_, _, errno = syscall.AllThreadsSyscall(unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return os.NewSyscallError("capset", errno)
	}
	return nil
}

// isCapable reports whether the calling thread has what Attach takes.
func isCapable() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) != nil {
		return true // not known
	}
	for _, c := range capabilities() {
		if data[c/32].Effective&(1<<(c%32)) == 0 {
			return false
		}
	}
	return true
}
