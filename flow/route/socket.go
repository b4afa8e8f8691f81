package route

import (
	"os"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack/ctnetlink"
)

// readBuffer is more than the kernel puts into one datagram of rtnetlink.
const readBuffer = 64 << 10

// socket is a ctnetlink.Socket to rtnetlink. It allocates nothing once made.
type socket struct {
	conn   *netlink.Conn
	raw    syscall.RawConn
	buffer []byte
	out    []byte
	n      int
	err    error

	writeBound, readBound func(fd uintptr) bool
	tryBound              func(fd uintptr)
}

// forever is how long a Recv without a deadline waits.
const forever = time.Duration(1<<63 - 1)

func openSocket(groups uint32) (*socket, error) {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Groups: groups})
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &socket{conn: conn, raw: raw, buffer: make([]byte, readBuffer)}
	s.writeBound, s.readBound, s.tryBound = s.write, s.read, s.try
	return s, nil
}

// Send implements ctnetlink.Socket.
func (s *socket) Send(b []byte) error {
	s.out = b
	if err := s.raw.Write(s.writeBound); err != nil {
		return err
	}
	return s.err
}

// Recv implements ctnetlink.Socket. The answer to a request is there at once, and
// then needs no deadline.
func (s *socket) Recv(wait time.Duration) ([]byte, error) {
	if err := s.raw.Control(s.tryBound); err != nil {
		return nil, err
	}
	if s.err == unix.EAGAIN { //nolint:errorlint // as the system call gave it
		if err := s.await(wait); err != nil {
			return nil, err
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	if s.n == len(s.buffer) {
		return nil, ctnetlink.ErrMalformed
	}
	return s.buffer[:s.n], nil
}

func (s *socket) await(wait time.Duration) error {
	if wait <= 0 {
		return os.ErrDeadlineExceeded
	}
	deadline := time.Time{}
	if wait < forever {
		deadline = time.Now().Add(wait)
	}
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	return s.raw.Read(s.readBound)
}

// Close implements ctnetlink.Socket, and ends a Recv.
func (s *socket) Close() error { return s.conn.Close() }

func (s *socket) write(fd uintptr) (done bool) {
	_, s.err = unix.Write(int(fd), s.out) // to the kernel, where nothing else is said
	return s.err != unix.EAGAIN           //nolint:errorlint // as the system call gave it
}

func (s *socket) read(fd uintptr) (done bool) {
	s.try(fd)
	return s.err != unix.EAGAIN //nolint:errorlint // as the system call gave it
}

func (s *socket) try(fd uintptr) { s.n, s.err = unix.Read(int(fd), s.buffer) }
