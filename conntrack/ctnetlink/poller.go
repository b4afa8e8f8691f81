package ctnetlink

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for a descriptor. Go's poller has whatever arrives at a descriptor
// that it knows wake a thread, also while nobody waits: with netlink that is once for
// each event, as long as the program lets events gather. So the poller is given an
// epoll instance instead, which holds the descriptor during a wait only.
type poller struct {
	file        *os.File // the epoll instance
	raw         syscall.RawConn
	interrupted atomic.Bool

	op, fd  int // what control is to do
	err     error
	control func(epoll uintptr) // bound once, as all that a wait calls: it allocates nothing
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // the poller asks for it
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	w := &poller{file: os.NewFile(uintptr(fd), "epoll")}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	w.control = func(epoll uintptr) {
		w.err = unix.EpollCtl(int(epoll), w.op, w.fd, &unix.EpollEvent{Events: unix.EPOLLIN})
	}
	return w, nil
}

// wait parks the goroutine until try returns true: it is called at once, and whenever
// something has arrived at fd. The wait ends with os.ErrDeadlineExceeded after d, or by
// interrupt. The order of deadline and flag matters: interrupt does the two the other
// way round.
func (w *poller) wait(fd int, d time.Duration, try func(uintptr) bool) error {
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
	_ = w.ctl(unix.EPOLL_CTL_DEL, fd) // fails where the poller was closed
	w.interrupted.Store(false)
	return err
}

func (w *poller) ctl(op, fd int) error {
	w.op, w.fd = op, fd
	if err := w.raw.Control(w.control); err != nil {
		return err
	}
	return os.NewSyscallError("epoll_ctl", w.err)
}

// interrupt ends a wait under way, or else the next. Any goroutine may call it.
func (w *poller) interrupt() {
	w.interrupted.Store(true)
	_ = w.file.SetReadDeadline(time.Unix(1, 0)) // fails on a closed poller only
}

func (w *poller) close() error { return w.file.Close() }
