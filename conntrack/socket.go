package conntrack

import (
	"os"
	"sync/atomic"
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
	conn        *netlink.Conn
	raw         syscall.RawConn
	interrupted atomic.Bool

	buffers  [][]byte
	iovecs   []unix.Iovec
	headers  []mmsghdr
	have     int // datagrams in the batch
	given    int // of which were handed out
	errno    syscall.Errno
	mem      memInfo
	memBound func(fd uintptr)
	tryBound func(fd uintptr)
	getBound func(fd uintptr) bool
}

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	header unix.Msghdr
	length uint32
}

func openSocket(netns, batch, size int) (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{NetNS: netns})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &socket{
		conn: conn, raw: raw,
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
	s.tryBound, s.getBound, s.memBound = s.try, s.get, s.mem.read
	return s, nil
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

// await parks the goroutine until there is a datagram. The order of deadline and
// flag matters: Interrupt does the two the other way round.
func (s *socket) await(wait time.Duration) error {
	if err := s.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if s.interrupted.Swap(false) {
		return os.ErrDeadlineExceeded
	}
	err := s.raw.Read(s.getBound)
	s.interrupted.Store(false)
	return err
}

// Interrupt lets a waiting Recv return as at its deadline.
func (s *socket) Interrupt() {
	s.interrupted.Store(true)
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // fails on a closed socket only
}

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

func (s *socket) get(fd uintptr) (done bool) {
	s.try(fd)
	return s.errno != unix.EAGAIN
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

// Send implements Socket.
func (s *socket) Send(b []byte) error {
	var failed error
	err := s.raw.Write(func(fd uintptr) bool {
		failed = unix.Sendto(int(fd), b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		return failed != unix.EAGAIN
	})
	if err != nil {
		return err
	}
	return failed
}

// Close implements Socket.
func (s *socket) Close() error { return s.conn.Close() }
