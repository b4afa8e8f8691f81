// Package poll waits for file descriptors of which Go's runtime would wake too much.
package poll

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Poller waits for a file descriptor. Go's runtime would wake a thread for each datagram that
// arrives at a descriptor that it polls, even while no goroutine waits: for netlink, once per
// event. So the runtime polls an epoll instance instead, which has the descriptor only during a
// wait.
type Poller struct {
	file        *os.File // the epoll instance
	raw         syscall.RawConn
	interrupted atomic.Bool

	op, fd  int // arguments of control
	err     error
	control func(epoll uintptr) // bound once, so that a wait doesn't allocate
}

// New returns a Poller. Only one goroutine may call its methods, except Interrupt.
func New() (*Poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// the runtime polls only nonblocking descriptors
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &Poller{file: os.NewFile(uintptr(fd), "epoll")}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	w.control = func(epoll uintptr) {
		w.err = unix.EpollCtl(int(epoll), w.op, w.fd, &unix.EpollEvent{Events: unix.EPOLLIN})
	}
	return w, nil
}

// Wait calls try, and again whenever something has arrived at fd, until it returns true. After d,
// or when Interrupt is called, the error is os.ErrDeadlineExceeded. Wait sets the deadline before
// it reads the flag, and Interrupt sets the flag before the deadline: so no interrupt is missed.
func (w *Poller) Wait(fd int, d time.Duration, try func(uintptr) bool) error {
	if err := w.file.SetReadDeadline(time.Now().Add(d)); err != nil {
		return err
	}
	if w.interrupted.Swap(false) {
		return os.ErrDeadlineExceeded
	}
	if err := w.ctl(unix.EPOLL_CTL_ADD, fd); err != nil {
		return err
	}
	err := w.raw.Read(try)
	_ = w.ctl(unix.EPOLL_CTL_DEL, fd) // fails only on a closed poller
	w.interrupted.Store(false)
	return err
}

func (w *Poller) ctl(op, fd int) error {
	w.op, w.fd = op, fd
	if err := w.raw.Control(w.control); err != nil {
		return err
	}
	return os.NewSyscallError("epoll_ctl", w.err)
}

// Interrupt ends the current wait, or else the next one. Any goroutine may call it.
func (w *Poller) Interrupt() {
	w.interrupted.Store(true)
	_ = w.file.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed poller
}

// Close ends a wait in progress.
func (w *Poller) Close() error { return w.file.Close() }
