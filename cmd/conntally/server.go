package main

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/conntally/conntally/export/decode"
)

// serverBuffer is the receive buffer in bytes: datagrams queue up while one is printed.
const serverBuffer = 4 << 20

// server is the embedded collector: it receives datagrams and decodes them.
type server struct {
	conn    *net.UDPConn
	decoder *decode.Decoder
	closer  atomic.Pointer[netip.AddrPort] // an empty datagram from it ends serve
}

func newServer(address string) (*server, error) {
	a, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", a)
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadBuffer(serverBuffer) // as much as net.core.rmem_max allows
	return &server{conn: conn, decoder: decode.New(decode.Options{})}, nil
}

// Address returns the address that the server listens on.
func (s *server) Address() string { return s.conn.LocalAddr().String() }

// serve calls handle with each message, and the error of decoding it, until Close or
// Finish.
func (s *server) serve(handle func(decode.Message, error)) error {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		if closer := s.closer.Load(); closer != nil && n == 0 && from == *closer {
			return s.conn.Close()
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		handle(s.decoder.Decode(buffer[:n], from))
	}
}

// Close ends serve immediately.
func (s *server) Close() error { return s.conn.Close() }

// Finish ends serve once it has read what this host has sent by now: it queues an empty
// datagram behind that.
func (s *server) Finish() error {
	conn, err := net.Dial("udp", s.Address())
	if err != nil {
		return err
	}
	defer conn.Close()
	from := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s.closer.Store(&from)
	_, err = conn.Write(nil)
	return err
}
