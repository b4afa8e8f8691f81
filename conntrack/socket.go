package conntrack

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	groupDestroy = 3 // NFNLGRP_CONNTRACK_DESTROY

	dumpBuffer  = 32 << 10 // the kernel fills at most 32448 B per read, however large the buffer
	eventBuffer = 2 << 10  // one DESTROY is some 300 B
	eventBatch  = 64       // datagrams per recvmmsg
)

// Options of the sockets.
type Options struct {
	// NetNS is a file descriptor of the network namespace to read; 0 means
	// the calling thread's own.
	NetNS int
	// ReceiveBuffer is the event socket's, in bytes. It may exceed
	// net.core.rmem_max where CAP_NET_ADMIN holds in the initial user namespace.
	ReceiveBuffer int
	// Reliable has the kernel repeat a DESTROY that found the buffer full,
	// until it fits. Until then the entry counts: a reader that stalls keeps the
	// router from accepting connections.
	Reliable bool
}

// Open subscribes to the end of every entry and prepares for dumps. From its
// return on no end goes unseen, short of overruns.
func Open(o Options, clock Clock) (*Reader, error) {
	events, err := openEvents(o)
	if err != nil {
		return nil, fmt.Errorf("conntrack events: %w", err)
	}
	dumps, err := openSocket(o.NetNS, 1, dumpBuffer)
	if err != nil {
		events.Close()
		return nil, fmt.Errorf("conntrack dump: %w", err)
	}
	r := NewReader(events, dumps, clock)
	r.options, r.opened = o, true
	return r, nil
}

// ReceiveBuffer returns the size in force of the event socket's buffer, in bytes as
// the kernel charges them (some 1280 B per event), 0 where it isn't known.
func (r *Reader) ReceiveBuffer() int {
	s, ok := r.events.(*socket)
	if !ok {
		return 0
	}
	n, err := s.conn.ReadBuffer()
	if err != nil {
		return 0
	}
	return n
}

// Reopen replaces the event socket of a Reader that Open returned, after an error.
// What ended meanwhile went unseen. A Reader that stalled is not reliable any more.
func (r *Reader) Reopen() error {
	r.options.Reliable = r.options.Reliable && !r.pulse.stopped.Load()
	fresh, err := openEvents(r.options)
	if err != nil {
		return fmt.Errorf("conntrack events: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.events.Close() // broken, or closed already
	r.events, r.drops = fresh, 0
	r.pulse.stopped.Store(false)
	return nil
}

func openEvents(o Options) (*socket, error) {
	s, err := openSocket(o.NetNS, eventBatch, eventBuffer)
	if err != nil {
		return nil, err
	}
	if err := s.subscribe(o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// subscribe enlarges the buffer first: events come from the moment of joining.
func (s *socket) subscribe(o Options) error {
	if err := s.conn.SetReadBuffer(o.ReceiveBuffer); err != nil {
		return err
	}
	// An overrun must not stop the reader; the drops are counted elsewhere.
	if err := s.conn.SetOption(netlink.NoENOBUFS, true); err != nil {
		return err
	}
	if err := s.conn.SetOption(netlink.BroadcastError, o.Reliable); err != nil {
		return err
	}
	return s.conn.JoinGroup(groupDestroy)
}

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
	memInfo  [unix.SK_MEMINFO_VARS]uint32
	memErrno syscall.Errno
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
	s.tryBound, s.getBound, s.memBound = s.try, s.get, s.readMemInfo
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

// Drops implements dropCounter: SK_MEMINFO_DROPS of SO_MEMINFO.
func (s *socket) Drops() (uint32, error) {
	if err := s.raw.Control(s.memBound); err != nil {
		return 0, err
	}
	if s.memErrno != 0 {
		return 0, s.memErrno
	}
	return s.memInfo[unix.SK_MEMINFO_DROPS], nil
}

func (s *socket) readMemInfo(fd uintptr) {
	length := uint32(unsafe.Sizeof(s.memInfo))
	_, _, s.memErrno = unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&s.memInfo)), uintptr(unsafe.Pointer(&length)), 0)
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
