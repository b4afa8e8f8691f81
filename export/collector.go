package export

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

const (
	// DefaultMessageSize keeps a datagram whole on any path with an MTU of
	// 1500, tunnels included.
	DefaultMessageSize = 1400

	messageDelay     = time.Second      // a record waits no longer for company
	preambleInterval = 60 * time.Second // UDP loses templates, and collectors restart
	retryInterval    = 10 * time.Second // the same, where we know that one was lost
	dialInterval     = 10 * time.Second
	dialTimeout      = 5 * time.Second
	dialLook         = time.Second
)

// Target says where and how to export.
type Target struct {
	Address  string // host:port
	Protocol Protocol
}

// domain is the observation domain or source id. pmacct takes the protocols apart
// by it, so each has its own.
func (t Target) domain() uint32 { return uint32(t.Protocol) }

// Collector exports to one collector by UDP. A datagram that can't be sent is
// dropped and counted: the gap shows in the sequence.
type Collector struct {
	Stats  CollectorStats
	Target Target

	encoder  *Encoder
	clock    conntrack.Clock
	flush    int64 // when the message is due, monotonic; 0 = it is empty
	preamble int64 // when the templates are due

	dialed chan *net.UDPConn // a socket that a dial has opened
	dialAt int64             // when the next dial is due, while a socket is needed
	lookAt int64             // when to look for what it has opened
	conn   *net.UDPConn
	broken bool // another socket is needed: this one can't send any more
	raw    syscall.RawConn
	local  netip.AddrPort
	remote netip.AddrPort

	message   []byte // being sent
	errno     error
	sendBound func(fd uintptr) bool
}

// NewCollector returns a Collector that opens its socket in the background, at
// its first Tick.
func NewCollector(t Target, clock conntrack.Clock) *Collector {
	c := &Collector{
		Target: t, clock: clock,
		encoder: NewEncoder(t.Protocol, t.domain(), DefaultMessageSize),
		dialed:  make(chan *net.UDPConn, 1),
	}
	c.sendBound = c.send
	return c
}

// Open resolves the name and opens the socket.
func (c *Collector) Open(ctx context.Context) error {
	conn, err := dial(ctx, c.Target.Address)
	if err != nil {
		return err
	}
	return c.attach(conn)
}

func dial(ctx context.Context, address string) (*net.UDPConn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// attach takes a new socket into use. Collectors key templates by the sender's
// port, so they are due at once, and what is pending leaves by the old socket.
func (c *Collector) attach(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	if c.conn != nil {
		c.finish(c.clock())
		c.conn.Close()
	}
	c.conn, c.raw, c.broken = conn, raw, false
	c.local, c.remote = unmapped(conn.LocalAddr()), unmapped(conn.RemoteAddr())
	c.preamble = 0
	return nil
}

func unmapped(a net.Addr) netip.AddrPort {
	ap := a.(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// export adds a record to the message, and sends those that are full.
func (c *Collector) export(r *flow.Record) {
	if c.conn == nil {
		c.Stats.Unsent.Add(1)
		return
	}
	now := r.At
	c.begin(now)
	if !c.encoder.Add(r, now.Wall) {
		c.finish(now)
		c.begin(now)
		c.encoder.Add(r, now.Wall)
	}
	if c.flush == 0 {
		c.flush = now.Mono + int64(messageDelay)
	}
}

// begin puts the templates in front of a message where they are due.
func (c *Collector) begin(now conntrack.Instant) {
	if c.encoder.Empty() && now.Mono >= c.preamble {
		c.encoder.AddPreamble(now.Wall)
		c.preamble = now.Mono + int64(preambleInterval)
	}
}

// finish sends the message.
func (c *Collector) finish(now conntrack.Instant) {
	if c.encoder.Empty() {
		return
	}
	records := c.encoder.Records()
	c.message, c.flush = c.encoder.Finish(now.Wall), 0
	err := c.write()
	if errors.Is(err, unix.ECONNREFUSED) {
		// That was the answer to an earlier datagram: this one wasn't sent.
		c.Stats.Refused.Add(1)
		c.retryPreamble(now)
		err = c.write()
	}
	if err != nil {
		c.Stats.SendErrors.Add(1)
		c.Stats.Unsent.Add(uint64(records))
		c.retryPreamble(now)
		c.broken = c.broken || !passing(err)
		return
	}
	c.Stats.Messages.Add(1)
	c.Stats.Records.Add(uint64(records))
	c.Stats.Octets.Add(uint64(len(c.message)))
}

// retryPreamble makes the templates due soon: they may have been in a datagram that
// was lost, or the collector may have restarted.
func (c *Collector) retryPreamble(now conntrack.Instant) {
	c.preamble = min(c.preamble, now.Mono+int64(retryInterval))
}

// passing tells an error that the socket survives. Others may last: a socket
// doesn't send any more once its own address is gone.
func passing(err error) bool {
	return errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS)
}

// write sends one datagram and never waits: a full socket buffer is an error.
func (c *Collector) write() error {
	if err := c.raw.Write(c.sendBound); err != nil {
		return err
	}
	return c.errno
}

func (c *Collector) send(fd uintptr) bool {
	c.errno = unix.Send(int(fd), c.message, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	return true
}

// tick does what is due: a socket, templates, a message that has waited long
// enough.
func (c *Collector) tick(ctx context.Context, now conntrack.Instant) {
	if c.conn == nil || c.broken {
		c.open(ctx, now)
	}
	if c.conn == nil {
		return
	}
	c.begin(now)
	if now.Mono >= c.flush { // at once where there are templates alone
		c.finish(now)
	}
}

// open takes a socket that a dial has opened, or dials in the background: a name
// may take long to resolve.
func (c *Collector) open(ctx context.Context, now conntrack.Instant) {
	select {
	case conn := <-c.dialed:
		if err := c.attach(conn); err != nil {
			c.Stats.DialErrors.Add(1)
		}
		return
	default:
	}
	c.lookAt = now.Mono + int64(dialLook)
	if now.Mono < c.dialAt {
		return
	}
	c.dialAt = now.Mono + int64(dialInterval)
	go func() {
		conn, err := dial(ctx, c.Target.Address)
		if err != nil {
			c.Stats.DialErrors.Add(1)
			return
		}
		c.dialed <- conn
	}()
}

// due returns when tick has work, monotonic.
func (c *Collector) due() int64 {
	if c.conn == nil {
		return c.lookAt
	}
	at := c.flush
	if at == 0 {
		at = c.preamble
	}
	if c.broken {
		at = min(at, c.lookAt)
	}
	return at
}

// owns tells whether t is the connection that this collector's datagrams make.
func (c *Collector) owns(t *conntrack.Tuple) bool {
	return c.conn != nil && t.Proto == conntrack.ProtoUDP &&
		t.DstPort == c.remote.Port() && t.SrcPort == c.local.Port() &&
		t.Dst.Netip() == c.remote.Addr() && t.Src.Netip() == c.local.Addr()
}

// close sends what is left and closes the socket.
func (c *Collector) close(now conntrack.Instant) {
	if c.conn == nil {
		return
	}
	c.finish(now)
	c.conn.Close()
	c.conn = nil
}
