package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace without a name. It lasts as long as something
// holds it: this value until it or its lab is closed, sockets, processes.
type Namespace struct {
	file *os.File
}

// NewNamespace makes an empty one, whose loopback interface is down. It lasts until
// Close, and as long as something in it does.
func NewNamespace() (*Namespace, error) {
	n := &Namespace{}
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return os.NewSyscallError("unshare", err)
		}
		n.file, err = threadNamespace()
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// NamespaceOf returns the network namespace of a process.
func NamespaceOf(pid int) (*Namespace, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	return &Namespace{file}, nil
}

// Close gives the namespace up.
func (n *Namespace) Close() error { return n.file.Close() }

// FD returns the file descriptor of the namespace, as netlink.Config.NetNS takes
// it. It is the namespace's own and valid until the lab is closed.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Do runs fn on an OS thread inside the namespace and returns its error. Sockets
// that fn opens stay in the namespace; goroutines that it starts don't run there.
func (n *Namespace) Do(fn func() error) error {
	return onThread(func() error {
		if err := enter(n.file); err != nil {
			return err
		}
		return fn()
	})
}

// Start starts cmd as a process in the namespace. The caller waits for it, and
// ends it before the lab is closed.
func (n *Namespace) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Sysctl sets one of the namespace's settings. The key is a path below
// /proc/sys that begins with "net/": all others are the machine's.
func (n *Namespace) Sysctl(key, value string) error {
	path, err := sysctlPath(key)
	if err != nil {
		return err
	}
	return n.Do(func() error { return os.WriteFile(path, []byte(value), 0) })
}

// ReadSysctl returns one of the namespace's settings without the newline; the
// key is as for Sysctl.
func (n *Namespace) ReadSysctl(key string) (value string, err error) {
	path, err := sysctlPath(key)
	if err != nil {
		return "", err
	}
	err = n.Do(func() error {
		b, err := os.ReadFile(path)
		value = strings.TrimSpace(string(b))
		return err
	})
	return value, err
}

func sysctlPath(key string) (string, error) {
	if !strings.HasPrefix(key, "net/") || strings.Contains(key, "..") {
		return "", fmt.Errorf("lab: sysctl %q does not belong to a network namespace", key)
	}
	return "/proc/sys/" + key, nil
}

// onThread runs fn on an OS thread of its own, whose network namespace fn may
// change. The thread serves others again only if it could go back to where it
// was; otherwise it dies with its goroutine.
func onThread(fn func() error) error {
	err := errors.New("lab: the function did not return")
	done := make(chan struct{})
	go func() {
		defer close(done) // also when fn calls runtime.Goexit, as t.FailNow does
		runtime.LockOSThread()
		home, e := threadNamespace()
		if e != nil {
			err = e
			runtime.UnlockOSThread()
			return
		}
		defer leave(home)
		err = fn()
	}()
	<-done
	return err
}

func leave(home *os.File) {
	if enter(home) == nil {
		runtime.UnlockOSThread()
	}
	home.Close()
}

func enter(ns *os.File) error {
	return os.NewSyscallError("setns", unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET))
}

func threadNamespace() (*os.File, error) { return os.Open("/proc/thread-self/ns/net") }
