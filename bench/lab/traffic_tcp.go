package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// End says how a connection ends.
type End uint8

// The ends of a connection.
const (
	FIN  End = iota // both sides close, the opener first
	RST             // the opener resets, with all data acknowledged
	Open            // it stays open until Conn.Close or Conn.Reset
)

// TCPFlow is one connection with one exchange on it.
type TCPFlow struct {
	Family     uint8 // AF_INET or AF_INET6
	Up, Down   int   // bytes of payload from and to the opener; up goes first
	End        End
	SourcePort uint16 // 0 = the kernel chooses
	Rate       int    // bytes per second in each direction, 0 = as fast as it goes
	Ends       *Ends  // nil = from the client to the server
}

// Ends are those of a flow that isn't the client's to the server.
type Ends struct {
	Host *Namespace     // which opens it
	From netip.Addr     // one of the host's
	To   netip.AddrPort // as the host knows it; the port is of no account to ICMP
}

// ends returns those of a flow of a family: what was asked for, or from the client to a
// port of the server.
func (l *Lab) ends(asked *Ends, family uint8, port uint16) (Ends, error) {
	if asked != nil {
		return *asked, nil
	}
	from, err := clientAddresses().of(family)
	if err != nil {
		return Ends{}, err
	}
	to, err := serverAddresses().of(family)
	return Ends{l.Client, from, netip.AddrPortFrom(to, port)}, err
}

// TCP opens a connection from the client to the server, moves the bytes and ends
// it as End says. On return all its packets have arrived. Only ctx bounds how
// long it takes.
func (l *Lab) TCP(ctx context.Context, f TCPFlow) (*Conn, error) {
	ends, err := l.ends(f.Ends, f.Family, PortTCP)
	if err != nil {
		return nil, err
	}
	return l.tcp(ctx, ends, f)
}

// Forward is TCP from the server to the client's server: with AF_INET to the
// router's port 8443, which the router forwards; with AF_INET6 straight there.
func (l *Lab) Forward(ctx context.Context, f TCPFlow) (*Conn, error) {
	from, err := serverAddresses().of(f.Family)
	if err != nil {
		return nil, err
	}
	to := netip.AddrPortFrom(wanAddresses().v4, PortForward)
	if f.Family == unix.AF_INET6 {
		to = netip.AddrPortFrom(clientAddresses().v6, PortTCP)
	}
	return l.tcp(ctx, Ends{l.Server, from, to}, f)
}

func (l *Lab) tcp(ctx context.Context, ends Ends, f TCPFlow) (*Conn, error) {
	to := ends.To
	from := netip.AddrPort{} // the kernel chooses
	if f.SourcePort != 0 || f.Ends != nil {
		from = netip.AddrPortFrom(ends.From, f.SourcePort)
	}
	tcp, err := dialTCP(ctx, ends.Host, from, to)
	if err != nil {
		return nil, fmt.Errorf("lab: TCP to %s: %w", to, err)
	}
	c := l.newConn(tcp, f)
	if err := c.run(ctx, f); err != nil {
		c.abandon()
		return nil, fmt.Errorf("lab: TCP to %s: %w", to, err)
	}
	return c, nil
}

// dialTCP opens plain TCP without keep-alives: no packets but those of the test.
func dialTCP(ctx context.Context, n *Namespace, from, to netip.AddrPort) (*net.TCPConn, error) {
	dialer := net.Dialer{KeepAlive: -1}
	dialer.SetMultipathTCP(false)
	if from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(from)
	}
	if from.Port() != 0 {
		dialer.Control = reuseAddress
	}
	var conn net.Conn
	err := n.Do(func() (err error) {
		conn, err = dialer.DialContext(ctx, "tcp", to.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

// reuseAddress lets a port be bound again while an earlier connection of it waits
// in TIME_WAIT.
func reuseAddress(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	if err != nil {
		return err
	}
	return failed
}

// endTime bounds the end of a connection, for which there is no context.
const endTime = 10 * time.Second

// Conn is the opener's side of a connection. Its methods are not for concurrent
// use.
type Conn struct {
	LocalPort uint16 // before any NAT

	lab     *Lab
	tcp     *net.TCPConn
	class   Class
	rate    int
	id      uint64
	session session
}

func (l *Lab) newConn(tcp *net.TCPConn, f TCPFlow) *Conn {
	id, opened := l.servers.sessions.add()
	l.servers.sockets.add(tcp)
	return &Conn{
		LocalPort: tcp.LocalAddr().(*net.TCPAddr).AddrPort().Port(),
		lab:       l, tcp: tcp, rate: f.Rate, id: id, session: opened,
		class: Class{f.Family, unix.IPPROTO_TCP},
	}
}

// Local returns the opener's address and port, before any NAT.
func (c *Conn) Local() netip.AddrPort { return c.tcp.LocalAddr().(*net.TCPAddr).AddrPort() }

func (c *Conn) run(ctx context.Context, f TCPFlow) error {
	if err := c.exchange(ctx, f.Up, f.Down); err != nil {
		return err
	}
	switch f.End {
	case FIN:
		return c.finish(ctx)
	case RST:
		return c.reset(ctx)
	}
	return nil
}

// Send moves more bytes: up of payload to the peer, then down from it. On return
// all are acknowledged. After an error the connection is only good for Reset.
func (c *Conn) Send(ctx context.Context, up, down int) error {
	if err := c.exchange(ctx, up, down); err != nil {
		return fmt.Errorf("lab: TCP from port %d: %w", c.LocalPort, err)
	}
	return nil
}

// Close ends an open connection with FIN from both sides.
func (c *Conn) Close() error {
	ctx, cancel := context.WithTimeout(c.lab.servers.ctx, endTime)
	defer cancel()
	if err := c.finish(ctx); err != nil {
		c.abandon()
		return fmt.Errorf("lab: TCP from port %d: close: %w", c.LocalPort, err)
	}
	return nil
}

// Reset ends an open connection with one RST.
func (c *Conn) Reset() error {
	ctx, cancel := context.WithTimeout(c.lab.servers.ctx, endTime)
	defer cancel()
	if err := c.reset(ctx); err != nil {
		return fmt.Errorf("lab: TCP from port %d: reset: %w", c.LocalPort, err)
	}
	return nil
}

func (c *Conn) exchange(ctx context.Context, up, down int) error {
	defer watch(ctx, c.tcp)()
	if err := c.ask(ctx, up, down); err != nil {
		return because(ctx, err)
	}
	if _, err := io.CopyN(io.Discard, c.tcp, int64(down)); err != nil {
		return because(ctx, err)
	}
	if err := acknowledge(c.tcp); err != nil {
		return err
	}
	if err := c.session.result(ctx); err != nil {
		return err
	}
	if err := waitAcknowledged(ctx, c.tcp); err != nil {
		return err
	}
	c.lab.generated.add(c.class, 0, HeaderSize+up+down)
	return nil
}

func (c *Conn) ask(ctx context.Context, up, down int) error {
	h := header{session: c.id, up: uint64(up), down: uint64(down), rate: uint64(c.rate)}
	if _, err := c.tcp.Write(h.marshal()); err != nil {
		return err
	}
	return writePayload(ctx, c.tcp, up, c.rate)
}

func (c *Conn) finish(ctx context.Context) error {
	defer watch(ctx, c.tcp)()
	if err := c.tcp.CloseWrite(); err != nil {
		return err
	}
	// The server's FIN.
	if _, err := io.Copy(io.Discard, c.tcp); err != nil {
		return because(ctx, err)
	}
	if err := c.session.end(ctx); err != nil {
		return err
	}
	return c.shut()
}

// reset expects that nothing is on its way, so that the RST is what both the peer
// and conntrack take for the next segment.
func (c *Conn) reset(ctx context.Context) error {
	if err := c.tcp.SetLinger(0); err != nil {
		return err
	}
	if err := c.shut(); err != nil {
		return err
	}
	return c.session.end(ctx)
}

func (c *Conn) shut() error {
	c.lab.servers.sockets.remove(c.tcp)
	return c.tcp.Close()
}

// abandon gives up a connection that has failed.
func (c *Conn) abandon() {
	c.lab.servers.sessions.take(c.id)
	if c.lab.servers.sockets.remove(c.tcp) {
		abort(c.tcp)
	}
}
