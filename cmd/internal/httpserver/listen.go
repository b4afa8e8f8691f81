package httpserver

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Listen listens on a TCP address, HOST:PORT. If the host doesn't have the address yet, it
// is served from the moment that an interface gets it.
func Listen(ctx context.Context, address string, log *zap.Logger) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if !errors.Is(err, unix.EADDRNOTAVAIL) {
		return listener, reason(err)
	}
	log.Warn("this host does not have the address to listen on yet; it is served once it has",
		zap.String("address", address))
	early := net.ListenConfig{Control: freebind}
	listener, err = early.Listen(ctx, "tcp", address)
	return listener, reason(err)
}

// freebind allows binding to addresses that no interface has, IPv6 included, ip(7).
func freebind(_, _ string, c syscall.RawConn) error {
	var err error
	refused := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1))
	})
	return errors.Join(refused, err)
}

// ListenUnix listens on a Unix socket at path with the permissions of mode. A socket left
// there by a program that has ended is replaced; closing the listener removes the socket.
func ListenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	// Fchmod before bind: the socket's permissions are never wider than mode.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		refused := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), uint32(mode.Perm())) })
		return errors.Join(refused, err)
	}}
	listener, err := config.Listen(ctx, "unix", path)
	if errors.Is(err, unix.EADDRINUSE) && abandoned(path) {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
		listener, err = config.Listen(ctx, "unix", path)
	}
	if err != nil {
		return nil, reason(err)
	}
	if err := os.Chmod(path, mode.Perm()); err != nil { // as the umask may have narrowed it
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// abandoned reports whether path is a socket that nobody listens on.
func abandoned(path string) bool {
	conn, err := net.Dial("unix", path)
	if err == nil {
		conn.Close()
	}
	info, statErr := os.Lstat(path)
	return errors.Is(err, unix.ECONNREFUSED) && statErr == nil && info.Mode().Type() == fs.ModeSocket
}

// reason returns the system's error number in err, without the call and the address.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// retryDelay is the time between two attempts to accept a connection.
const retryDelay = time.Second

// retryListener keeps accepting after any failure, such as EMFILE.
type retryListener struct {
	net.Listener
	log *zap.Logger
}

// Accept implements net.Listener.
func (l *retryListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err == nil || errors.Is(err, net.ErrClosed) {
			return conn, err
		}
		l.log.Warn("an HTTP connection could not be accepted", zap.Error(err))
		time.Sleep(retryDelay)
	}
}
