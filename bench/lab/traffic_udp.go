package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	udpHeader = 8
	inFlight  = 32   // silent datagrams that are on their way at once
	unbroken  = 1452 // bytes of payload that need no fragments

	// answerTime is how long an answer is waited for. It is lost if NAT has forgotten its
	// connection, which a test may have it do within a second, while a server has to wait for a
	// processor for longer.
	answerTime = 10 * time.Second

	// The source ports that a lab gives out in turn, each new to conntrack for
	// the first udpPortCount flows.
	udpPortFirst = 20000
	udpPortCount = 40000
)

// UDPFlow is a number of datagrams from the client to the server.
type UDPFlow struct {
	Family     uint8 // AF_INET or AF_INET6
	Packets    int
	Size       int           // bytes of payload, 0 to 65507 (IPv4) or 65527 (IPv6)
	Answered   bool          // each comes back from port 53; else all go to port 9
	SourcePort uint16        // 0 = one that the lab has not used yet
	Interval   time.Duration // between datagrams, 0 = none
	Ends       *Ends         // nil = from the client to the server; else all are answered

	answerTime time.Duration // in place of answerTime, if not 0
}

// UDP sends the datagrams and returns when they and their answers have arrived. A datagram without
// an answer is sent again. Only ctx bounds how long it takes.
func (l *Lab) UDP(ctx context.Context, f UDPFlow) error {
	conn, err := l.dialUDP(&f)
	if err != nil {
		return fmt.Errorf("lab: UDP: %w", err)
	}
	defer conn.Close()
	defer watch(ctx, conn)()
	flow := &datagrams{
		UDPFlow: f, conn: conn, payload: make([]byte, f.Size), lab: l,
		class: Class{f.Family, unix.IPPROTO_UDP}, begin: time.Now(),
	}
	if f.Answered {
		err = flow.sendAnswered(ctx)
	} else {
		err = flow.sendSilent(ctx)
	}
	if err != nil {
		return fmt.Errorf("lab: UDP from port %d: %w", f.SourcePort, because(ctx, err))
	}
	return nil
}

// dialUDP fills in the source port.
func (l *Lab) dialUDP(f *UDPFlow) (conn *net.UDPConn, err error) {
	port := uint16(PortSilent)
	if f.Answered {
		port = PortAnswer
	} else if f.Ends != nil {
		return nil, errors.New("only the lab's server counts silent datagrams")
	}
	ends, err := l.ends(f.Ends, f.Family, port)
	if err != nil {
		return nil, err
	}
	if f.SourcePort == 0 {
		f.SourcePort = uint16(udpPortFirst + (l.udpPorts.Add(1)-1)%udpPortCount)
	}
	err = ends.Host.Do(func() (err error) {
		conn, err = net.DialUDP("udp",
			net.UDPAddrFromAddrPort(netip.AddrPortFrom(ends.From, f.SourcePort)),
			net.UDPAddrFromAddrPort(ends.To))
		return err
	})
	return conn, err
}

// datagrams is a UDP flow under way.
type datagrams struct {
	UDPFlow
	conn    *net.UDPConn
	payload []byte
	class   Class
	lab     *Lab
	begin   time.Time
}

// wait waits for the time of datagram i.
func (d *datagrams) wait(ctx context.Context, i int) error {
	return WaitUntil(ctx, d.begin.Add(time.Duration(i)*d.Interval))
}

func (d *datagrams) send() error {
	if _, err := d.conn.Write(d.payload); err != nil {
		return err
	}
	d.count()
	return nil
}

func (d *datagrams) count() { d.lab.generated.add(d.class, 1, ipHeader(d.Family)+udpHeader+d.Size) }

func (d *datagrams) sendAnswered(ctx context.Context) error {
	answer := make([]byte, maxDatagram)
	for i := range d.Packets {
		if err := d.wait(ctx, i); err != nil {
			return err
		}
		err := d.lab.oneBroken(ctx, d.Size, func() error {
			return d.exchange(ctx, answer)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *datagrams) exchange(ctx context.Context, answer []byte) error {
	for {
		if err := d.send(); err != nil {
			return err
		}
		_ = d.conn.SetReadDeadline(time.Now().Add(cmp.Or(d.answerTime, answerTime)))
		err := d.receive(answer)
		if !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}

func (d *datagrams) receive(answer []byte) error {
	n, err := d.conn.Read(answer)
	if err != nil {
		return err
	}
	if n != d.Size {
		return fmt.Errorf("an answer of %d bytes to %d", n, d.Size)
	}
	d.count()
	return nil
}

// sendSilent learns from the server, past the network, what has arrived, and so
// never has more on its way than the queues hold.
func (d *datagrams) sendSilent(ctx context.Context) error {
	from, err := seenByServer(d.Family, d.SourcePort)
	if err != nil {
		return err
	}
	arrived := d.lab.servers.arrivals.expect(from, inFlight)
	defer d.lab.servers.arrivals.forget(from)
	if d.Size > unbroken {
		return d.sendBroken(ctx, arrived)
	}
	for i := range d.Packets {
		if i >= inFlight {
			if err := next(ctx, arrived); err != nil {
				return err
			}
		}
		if err := d.wait(ctx, i); err != nil {
			return err
		}
		if err := d.send(); err != nil {
			return err
		}
	}
	for range min(d.Packets, inFlight) {
		if err := next(ctx, arrived); err != nil {
			return err
		}
	}
	return nil
}

func (d *datagrams) sendBroken(ctx context.Context, arrived <-chan struct{}) error {
	for i := range d.Packets {
		if err := d.wait(ctx, i); err != nil {
			return err
		}
		err := d.lab.oneBroken(ctx, d.Size, func() error {
			if err := d.send(); err != nil {
				return err
			}
			return next(ctx, arrived)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// oneBroken lets one datagram of the lab at a time be in fragments. Where those of
// several mingle, the kernel gives some up: when more than ipfrag_max_dist of
// others come in between, and when sockets choose the same IP identification.
func (l *Lab) oneBroken(ctx context.Context, size int, exchange func() error) error {
	if size <= unbroken {
		return exchange()
	}
	select {
	case l.broken <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-l.broken }()
	return exchange()
}

func next(ctx context.Context, arrived <-chan struct{}) error {
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// seenByServer returns the source of the client's datagrams as the server sees
// it. The translation keeps ports: nobody else has a claim to them.
func seenByServer(family uint8, port uint16) (netip.AddrPort, error) {
	translated := addresses{v4: wanAddresses().v4, v6: clientAddresses().v6}
	addr, err := translated.of(family)
	return netip.AddrPortFrom(addr, port), err
}

// ipHeader returns the length of an IP header without options or extensions.
func ipHeader(family uint8) int {
	if family == unix.AF_INET6 {
		return 40
	}
	return 20
}
