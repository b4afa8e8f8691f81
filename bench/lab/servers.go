package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	udpBuffer   = 16 << 20 // bytes of a UDP server's receive buffer
	maxDatagram = 1 << 16
	closeTime   = 10 // seconds that a server waits for the last acknowledgement
)

// servers are those of one lab, with what they share with the generators.
type servers struct {
	ctx      context.Context // ends with the lab
	cancel   context.CancelFunc
	tasks    sync.WaitGroup
	sockets  sockets
	sessions sessions
	arrivals arrivals
}

func newServers() *servers {
	ctx, cancel := context.WithCancel(context.Background())
	return &servers{
		ctx: ctx, cancel: cancel,
		sockets:  sockets{open: map[io.Closer]struct{}{}},
		sessions: sessions{open: map[uint64]session{}},
		arrivals: arrivals{from: map[netip.AddrPort]chan struct{}{}},
	}
}

func (s *servers) close() {
	s.cancel()
	s.sockets.closeAll()
	s.tasks.Wait()
}

// serve opens all servers. They listen when it returns.
func (l *Lab) serve(o Options) error {
	for _, addr := range clientAddresses().both() {
		if err := l.servers.serveTCP(l.Client, addr); err != nil {
			return fmt.Errorf("lab: client's server: %w", err)
		}
	}
	both := serverAddresses().both()
	if err := l.Serve(l.Server, append(both[:], o.Internet...)...); err != nil {
		return err
	}
	if l.Guest == nil {
		return nil
	}
	both = guestAddresses().both()
	return l.Serve(l.Guest, both[:]...)
}

// Serve has a host offer at its addresses what the server does, until the lab is closed.
func (l *Lab) Serve(n *Namespace, addrs ...netip.Addr) error {
	for _, addr := range addrs {
		if err := l.servers.serveAll(n, addr); err != nil {
			return fmt.Errorf("lab: server at %s: %w", addr, err)
		}
	}
	return nil
}

func (s *servers) serveAll(n *Namespace, addr netip.Addr) error {
	if err := s.serveTCP(n, addr); err != nil {
		return err
	}
	if err := s.serveUDP(n, netip.AddrPortFrom(addr, PortAnswer), answerDatagram); err != nil {
		return err
	}
	return s.serveUDP(n, netip.AddrPortFrom(addr, PortSilent), s.noteDatagram)
}

func (s *servers) serveTCP(n *Namespace, addr netip.Addr) error {
	// Plain TCP without keep-alives: no packets but those of the test.
	config := net.ListenConfig{KeepAlive: -1}
	config.SetMultipathTCP(false)
	var listener net.Listener
	err := n.Do(func() (err error) {
		listener, err = config.Listen(s.ctx, "tcp", netip.AddrPortFrom(addr, PortTCP).String())
		return err
	})
	if err != nil {
		return err
	}
	s.sockets.add(listener)
	s.tasks.Go(func() { s.accept(listener.(*net.TCPListener)) })
	return nil
}

func (s *servers) accept(listener *net.TCPListener) {
	for {
		conn, err := listener.AcceptTCP()
		if err != nil {
			return
		}
		s.sockets.add(conn)
		s.tasks.Go(func() { s.attend(conn) })
	}
}

// attend answers a connection until its peer ends it, closes it, and returns
// when the peer has acknowledged that.
func (s *servers) attend(conn *net.TCPConn) {
	var peer session
	for {
		h, err := readHeader(conn)
		if err != nil {
			break
		}
		if peer == nil {
			peer = s.sessions.take(h.session)
		}
		peer.report(answer(s.ctx, conn, h))
	}
	if s.sockets.remove(conn) {
		_ = conn.SetLinger(closeTime) // Close waits for the last acknowledgement
		conn.Close()
	}
	if peer != nil {
		close(peer)
	}
}

// answer does the server's part of an exchange. On return the peer has
// acknowledged all of it.
func answer(ctx context.Context, conn *net.TCPConn, h header) error {
	if _, err := io.CopyN(io.Discard, conn, int64(h.up)); err != nil {
		return err
	}
	if h.down == 0 {
		return acknowledge(conn)
	}
	if err := writePayload(ctx, conn, int(h.down), int(h.rate)); err != nil {
		return err
	}
	return waitAcknowledged(ctx, conn)
}

func (s *servers) serveUDP(n *Namespace, at netip.AddrPort, handle datagramHandler) error {
	var conn *net.UDPConn
	err := n.Do(func() (err error) {
		conn, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		return err
	})
	if err != nil {
		return err
	}
	s.sockets.add(conn)
	s.tasks.Go(func() { receive(conn, handle) })
	return enlarge(conn)
}

// enlarge asks for a receive buffer of udpBuffer, and takes what it gets where
// the lab is in a user namespace.
func enlarge(conn *net.UDPConn) error {
	err := onSocket(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, udpBuffer)
	})
	if err == nil {
		return nil
	}
	return conn.SetReadBuffer(udpBuffer)
}

// datagramHandler gets each datagram; the payload is valid until it returns.
type datagramHandler func(conn *net.UDPConn, from netip.AddrPort, payload []byte)

func receive(conn *net.UDPConn, handle datagramHandler) {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		handle(conn, from, b[:n])
	}
}

// answerDatagram leaves a failure to the client, which misses the answer.
func answerDatagram(conn *net.UDPConn, from netip.AddrPort, payload []byte) {
	_, _ = conn.WriteToUDPAddrPort(payload, from)
}

func (s *servers) noteDatagram(_ *net.UDPConn, from netip.AddrPort, _ []byte) {
	s.arrivals.note(netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
}

// sockets are those that the lab's end closes.
type sockets struct {
	mu     sync.Mutex
	open   map[io.Closer]struct{}
	closed bool
}

// add closes a socket that comes too late.
func (s *sockets) add(socket io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		abort(socket)
		return
	}
	s.open[socket] = struct{}{}
}

// remove reports whether the caller still has to close the socket.
func (s *sockets) remove(socket io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.open[socket]
	delete(s.open, socket)
	return ok
}

func (s *sockets) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for socket := range s.open {
		abort(socket)
	}
	clear(s.open)
}

// abort leaves nothing in the kernel that would keep the namespace.
func abort(socket io.Closer) {
	if conn, ok := socket.(*net.TCPConn); ok {
		_ = conn.SetLinger(0)
	}
	socket.Close()
}

// onSocket runs fn with the connection's file descriptor.
func onSocket(conn syscall.Conn, fn func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = fn(int(fd)) }); err != nil {
		return err
	}
	return failed
}
