package monitor

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"
)

// What a client may take of us.
const (
	mostConnections = 16
	mostHeader      = 4 << 10
	readTimeout     = 5 * time.Second
	answerTimeout   = time.Minute // a profile of half a minute fits
)

// Options of the server.
type Options struct {
	Address string // host:port
	Pprof   bool   // profiles as well
}

// Serve opens the port and answers there until ctx is done.
func Serve(ctx context.Context, o Options, s *Sources, log *zap.Logger) error {
	listener, err := listen(ctx, o.Address, log)
	if err != nil {
		return fmt.Errorf("can't serve metrics at %s: %w", o.Address, reason(err))
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	server := &server{handler: s.Handler(o.Pprof), log: log}
	go server.serve(ctx, netutil.LimitListener(listener, mostConnections))
	return nil
}

// listen opens the port, at an address that the host may get later: its interface can
// come up after the program, which exports meanwhile.
func listen(ctx context.Context, address string, log *zap.Logger) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if !errors.Is(err, unix.EADDRNOTAVAIL) {
		return listener, err
	}
	log.Warn("the host hasn't the address for metrics yet, they are served once it has", zap.String("address", address))
	early := net.ListenConfig{Control: freebind}
	return early.Listen(ctx, "tcp", address)
}

// freebind allows addresses that no interface has, of IPv6 as well, ip(7).
func freebind(_, _ string, c syscall.RawConn) error {
	var err error
	refused := c.Control(func(fd uintptr) {
		err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1))
	})
	return errors.Join(refused, err)
}

// reason is what the system says, without the call that it says it of.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// server stands in for http.Server, whose TLS would be a seventh of the program and
// take 1 MB of memory. A connection has one request.
type server struct {
	handler http.Handler
	log     *zap.Logger
	bodies  sync.Pool // of *bytes.Buffer
}

const (
	acceptRest = time.Second // after a failure to accept a connection, such as EMFILE
	mostKept   = 64 << 10    // octets of a body's buffer; a profile has more
)

func (s *server) serve(ctx context.Context, listener net.Listener) {
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			go s.answer(ctx, conn)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.log.Warn("can't accept a connection for metrics", zap.Error(err))
			time.Sleep(acceptRest)
		}
	}
}

// answer reads a request and answers it. Who sends anything else, or too much, or too
// slowly gets no answer.
func (s *server) answer(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	now := time.Now()
	if conn.SetReadDeadline(now.Add(readTimeout)) != nil || conn.SetWriteDeadline(now.Add(answerTimeout)) != nil {
		return
	}
	request, err := http.ReadRequest(bufio.NewReaderSize(io.LimitReader(conn, mostHeader), 512))
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body, _ := s.bodies.Get().(*bytes.Buffer)
	if body == nil {
		body = new(bytes.Buffer)
	}
	r := response{header: http.Header{}, body: body}
	s.handler.ServeHTTP(&r, request.WithContext(ctx))
	_ = r.send(conn, request.Method == http.MethodHead) // the client may have gone
	if body.Cap() <= mostKept {
		body.Reset()
		s.bodies.Put(body)
	}
}
