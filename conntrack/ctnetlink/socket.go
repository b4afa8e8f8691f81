package ctnetlink

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	dumpBuffer  = 32 << 10 // the kernel fills at most 32448 B per read, however large the buffer
	eventBuffer = 2 << 10  // one DESTROY is some 300 B
	eventBatch  = 64       // datagrams per recvmmsg
)

// socket is a real netlink socket. It reads batches of datagrams by recvmmsg
// into memory of its own and hands them out one by one.
type socket struct {
	file   *os.File // unknown to Go's poller
	raw    syscall.RawConn
	poller *poller

	buffers  [][]byte
	iovecs   []unix.Iovec
	headers  []mmsghdr
	have     int // datagrams in the batch
	given    int // of which were handed out
	errno    syscall.Errno
	mem      memInfo
	fd       int           // during a wait
	patience time.Duration // of the wait
	ended    error         // the wait, with

	tryBound, waitBound, memBound func(fd uintptr)
	getBound                      func(epoll uintptr) bool
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

// openSocket opens a socket in a network namespace, as prepare has it. Of each batch
// of datagrams none may be longer than size.
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
	s.tryBound, s.waitBound, s.getBound, s.memBound = s.try, s.wait, s.get, s.mem.read
	if s.raw, err = file.SyscallConn(); err != nil {
		file.Close()
		return nil, err
	}
	if s.poller, err = newPoller(); err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

// dial opens a netlink socket that Go's poller doesn't know: see poller.
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
	if err := raw.Control(func(known uintptr) { fd, failed = unix.FcntlInt(known, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, os.NewSyscallError("fcntl", failed)
	}
	if err := unix.SetNonblock(fd, false); err != nil { // or the poller would have it
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// Recv implements Socket.
func (s *socket) Recv(wait time.Duration) ([]byte, error) {
	if s.given == s.have {
		if err := s.fill(wait); err != nil {
			return nil, err
		}
	}
	i := s.given
	s.given++
	if s.headers[i].header.Flags&unix.MSG_TRUNC != 0 {
		return nil, ErrMalformed
	}
	return s.buffers[i][:s.headers[i].length], nil
}

// fill reads a batch, first without waiting: that needs no deadline.
func (s *socket) fill(wait time.Duration) error {
	s.have, s.given = 0, 0
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

// await parks the goroutine until there is a datagram.
func (s *socket) await(patience time.Duration) error {
	s.patience = patience
	if err := s.raw.Control(s.waitBound); err != nil {
		return err
	}
	return s.ended
}

func (s *socket) wait(fd uintptr) {
	s.fd = int(fd)
	s.ended = s.poller.wait(s.fd, s.patience, s.getBound)
}

// get is try during a wait.
func (s *socket) get(uintptr) (done bool) {
	s.try(uintptr(s.fd))
	return s.errno != unix.EAGAIN
}

// Interrupt lets a waiting Recv return as at its deadline.
func (s *socket) Interrupt() { s.poller.interrupt() }

func (s *socket) try(fd uintptr) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd,
			uintptr(unsafe.Pointer(&s.headers[0])), uintptr(len(s.headers)), unix.MSG_DONTWAIT, 0, 0)
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

// memInfo is what SO_MEMINFO tells of a socket.
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

// dropsNow is Drops for other goroutines than the reader's.
func (s *socket) dropsNow() (uint32, error) {
	var m memInfo
	return m.drops(s.raw.Control(m.read))
}

// readBuffer returns SO_RCVBUF.
func (s *socket) readBuffer() (n int, err error) {
	failed := s.raw.Control(func(fd uintptr) { n, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF) })
	return n, errors.Join(failed, err)
}

// repeat has the kernel repeat what finds the buffer full, or ends that. Any goroutine may
// call it.
func (s *socket) repeat(on bool) error {
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
	var err error
	failed := s.raw.Control(func(fd uintptr) {
		err = unix.Sendto(int(fd), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	return errors.Join(failed, err)
}

// Close implements Socket, and ends a Recv under way.
func (s *socket) Close() error { return errors.Join(s.file.Close(), s.poller.close()) }
