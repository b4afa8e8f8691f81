package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const icmpHeader = 8

// EchoFlow is a number of echo requests from the client to the server.
type EchoFlow struct {
	Family  uint8 // AF_INET or AF_INET6
	Packets int
	Size    int    // bytes of data after the ICMP header
	ID      uint16 // 0 = one that the lab has not used yet
	Ends    *Ends  // nil = from the client to the server
}

// Echo sends the requests, each after the reply to the one before, and returns
// with the last reply. Only ctx bounds how long it takes.
func (l *Lab) Echo(ctx context.Context, f EchoFlow) error {
	if f.ID == 0 {
		f.ID = uint16(1 + (l.echoIDs.Add(1)-1)%(1<<16-1))
	}
	p, err := l.newPinger(f)
	if err != nil {
		return fmt.Errorf("lab: echo: %w", err)
	}
	defer p.conn.Close()
	defer watch(ctx, p.conn)()
	for sequence := range f.Packets {
		err := l.oneBroken(ctx, f.Size, func() error { return p.ping(sequence % (1 << 16)) })
		if err != nil {
			return fmt.Errorf("lab: echo %d: %w", sequence, because(ctx, err))
		}
		l.generated.add(p.class, 2, 2*(ipHeader(f.Family)+icmpHeader+f.Size))
	}
	return nil
}

// pinger is an echo flow under way.
type pinger struct {
	conn           net.PacketConn
	to             *net.UDPAddr
	class          Class
	request, reply icmp.Type
	id             int
	data           []byte
	buffer         []byte
}

func (l *Lab) newPinger(f EchoFlow) (*pinger, error) {
	ends, err := l.ends(f.Ends, f.Family, 0)
	if err != nil {
		return nil, err
	}
	p := &pinger{
		to:      net.UDPAddrFromAddrPort(netip.AddrPortFrom(ends.To.Addr(), 0)),
		class:   Class{f.Family, icmpOf(f.Family)},
		request: ipv4.ICMPTypeEcho, reply: ipv4.ICMPTypeEchoReply,
		id: int(f.ID), data: make([]byte, f.Size), buffer: make([]byte, maxDatagram),
	}
	if f.Family == unix.AF_INET6 {
		p.request, p.reply = ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	p.conn, err = listenICMP(ends.Host, p.class, ends.From, f.ID)
	return p, err
}

// listenICMP opens an ICMP datagram socket. The kernel puts the port that it is
// bound to into the requests as their identifier, and gives it no other replies.
func listenICMP(
	host *Namespace, class Class, at netip.Addr, id uint16,
) (conn net.PacketConn, err error) {
	err = host.Do(func() error {
		fd, err := unix.Socket(int(class.Family),
			unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, int(class.Proto))
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		file := os.NewFile(uintptr(fd), "icmp")
		defer file.Close() // the connection has a copy
		if err := unix.Bind(fd, socketAddress(at, id)); err != nil {
			return os.NewSyscallError("bind", err)
		}
		conn, err = net.FilePacketConn(file)
		return err
	})
	return conn, err
}

func socketAddress(addr netip.Addr, port uint16) unix.Sockaddr {
	if addr.Is4() {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: int(port)}
	}
	return &unix.SockaddrInet6{Addr: addr.As16(), Port: int(port)}
}

// ping sends one request and waits for its reply.
func (p *pinger) ping(sequence int) error {
	request := icmp.Message{
		Type: p.request, Body: &icmp.Echo{ID: p.id, Seq: sequence, Data: p.data},
	}
	b, err := request.Marshal(nil) // the kernel fills in checksum and identifier
	if err != nil {
		return err
	}
	if _, err := p.conn.WriteTo(b, p.to); err != nil {
		return err
	}
	for {
		n, _, err := p.conn.ReadFrom(p.buffer)
		if err != nil {
			return err
		}
		if p.answers(p.buffer[:n], sequence) {
			return nil
		}
	}
}

func (p *pinger) answers(b []byte, sequence int) bool {
	message, err := icmp.ParseMessage(int(p.class.Proto), b)
	if err != nil || message.Type != p.reply {
		return false
	}
	echo, ok := message.Body.(*icmp.Echo)
	return ok && echo.ID == p.id && echo.Seq == sequence && len(echo.Data) == len(p.data)
}
