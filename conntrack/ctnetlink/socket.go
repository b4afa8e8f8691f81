package ctnetlink

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack/internal/poll"
)

const (
	dumpBuffer  = 32 << 10 // the kernel fills at most 32448 B per read, however large the buffer
	eventBuffer = 2 << 10  // one DESTROY is some 300 B
	eventBatch  = 64       // datagrams per recvmmsg
)

// socket is a real netlink socket. It reads batches of datagrams by recvmmsg into buffers of its
// own, and returns them one by one.
type socket struct {
	file   *os.File // not polled by Go's runtime: see poll.Poller
	raw    syscall.RawConn
	poller *poll.Poller

	buffers [][]byte
	iovecs  []unix.Iovec
	headers []mmsghdr
	have    int // datagrams in the batch
	next    int // the next one to return
	errno   syscall.Errno
	mem     memInfo
	fd      int           // during a wait
	timeout time.Duration // of the wait
	waitErr error         // the wait, with

	request []byte // during a Send
	sendErr error  // of the Send

	tryBound, waitBound, memBound, sendBound func(fd uintptr)
	tryAgainBound                            func(epoll uintptr) bool
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// openSocket opens a socket in a network namespace and lets prepare set it up. It reads batches of
// batch datagrams, each of at most size octets.
func openSocket(netns, batch, size int, prepare func(*netlink.Conn) error) (*socket, error) {
	file, err := dial(netns, prepare)
	if err != nil {
		return nil, err
	}
	s := &socket{
		file:    file,
		buffers: make([][]byte, batch),
		iovecs:  make([]unix.Iovec, batch),
		headers: make([]mmsghdr, batch),
	}
	for i := range s.headers {
		s.buffers[i] = make([]byte, size)
		s.iovecs[i].Base = &s.buffers[i][0]
		s.iovecs[i].SetLen(size)
		s.headers[i].header.Iov = &s.iovecs[i]
		s.headers[i].header.SetIovlen(1)
	}
	s.tryBound, s.waitBound, s.tryAgainBound, s.memBound = s.try, s.wait, s.tryAgain, s.mem.read
	s.sendBound = s.send
	if s.raw, err = file.SyscallConn(); err != nil {
		file.Close()
		return nil, err
	}
	if s.poller, err = poll.New(); err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

// dial opens a netlink socket that Go's runtime doesn't poll: see poll.Poller.
func dial(netns int, prepare func(*netlink.Conn) error) (*os.File, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: netns})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := prepare(conn); err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, failed := -1, error(nil)
	err = raw.Control(func(polled uintptr) {
		fd, failed = unix.FcntlInt(polled, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("fcntl", failed)
	}
	if err := unix.SetNonblock(fd, false); err != nil { // otherwise the runtime would poll it
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// Recv implements Socket.
func (s *socket) Recv(wait time.Duration) ([]byte, error) {
	if s.next == s.have {
		if err := s.fill(wait); err != nil {
			return nil, err
		}
	}
	i := s.next
	s.next++
	if s.headers[i].header.Flags&unix.MSG_TRUNC != 0 {
		return nil, ErrMalformed
	}
	return s.buffers[i][:s.headers[i].length], nil
}

// fill reads a batch. It waits, which needs a deadline, only if there is nothing to read.
func (s *socket) fill(wait time.Duration) error {
	s.have, s.next = 0, 0
	if err := s.raw.Control(s.tryBound); err != nil {
		return err
	}
	if s.errno == unix.EAGAIN {
		if wait <= 0 {
			return os.ErrDeadlineExceeded
		}
		if err := s.await(wait); err != nil {
			return err
		}
	}
	if s.errno != 0 {
		return s.errno
	}
	return nil
}

// await waits until it has read a batch.
func (s *socket) await(patience time.Duration) error {
	s.timeout = patience
	if err := s.raw.Control(s.waitBound); err != nil {
		return err
	}
	return s.waitErr
}

func (s *socket) wait(fd uintptr) {
	s.fd = int(fd)
	s.waitErr = s.poller.Wait(s.fd, s.timeout, s.tryAgainBound)
}

// tryAgain is try during a wait: it reports whether the wait is over.
func (s *socket) tryAgain(uintptr) (done bool) {
	s.try(uintptr(s.fd))
	return s.errno != unix.EAGAIN
}

// Interrupt makes a waiting Recv return as at its deadline.
func (s *socket) Interrupt() { s.poller.Interrupt() }

func (s *socket) try(fd uintptr) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd,
			uintptr(unsafe.Pointer(&s.headers[0])), uintptr(len(s.headers)),
			unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		s.errno = errno
		if errno == 0 {
			s.have = int(n)
		}
		return
	}
}

// memInfo is the result of SO_MEMINFO.
type memInfo struct {
	vars  [unix.SK_MEMINFO_VARS]uint32
	errno syscall.Errno
}

func (m *memInfo) read(fd uintptr) {
	length := uint32(unsafe.Sizeof(m.vars))
	_, _, m.errno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&m.vars)), uintptr(unsafe.Pointer(&length)), 0)
}

func (m *memInfo) drops(err error) (uint32, error) {
	if err == nil && m.errno != 0 {
		err = m.errno
	}
	return m.vars[unix.SK_MEMINFO_DROPS], err
}

// Drops implements dropCounter: SK_MEMINFO_DROPS of SO_MEMINFO.
func (s *socket) Drops() (uint32, error) { return s.mem.drops(s.raw.Control(s.memBound)) }

// dropsNow is Drops for goroutines other than the reader's.
func (s *socket) dropsNow() (uint32, error) {
	var m memInfo
	return m.drops(s.raw.Control(m.read))
}

// readBuffer returns SO_RCVBUF.
func (s *socket) readBuffer() (n int, err error) {
	failed := s.raw.Control(func(fd uintptr) {
		n, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	return n, errors.Join(failed, err)
}

// setReliable sets whether the kernel repeats events that find the buffer full. Any goroutine may
// call it.
func (s *socket) setReliable(on bool) error {
	var err error
	value := 0
	if on {
		value = 1
	}
	failed := s.raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, unix.NETLINK_BROADCAST_ERROR, value)
	})
	return errors.Join(failed, err)
}

// Send implements Socket.
func (s *socket) Send(b []byte) error {
	s.request = b
	err := s.raw.Control(s.sendBound)
	s.request = nil
	if err != nil {
		return err
	}
	return s.sendErr
}

// send needs no address: a socket that isn't connected sends to the kernel.
func (s *socket) send(fd uintptr) { _, s.sendErr = unix.Write(int(fd), s.request) }

// Close implements Socket. It ends a Recv in progress.
func (s *socket) Close() error { return errors.Join(s.file.Close(), s.poller.Close()) }
