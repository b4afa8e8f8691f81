// Package collect receives what a program exports, and afterwards compares it with
// the traffic that there was. While it receives it hardly works, so that it takes
// little of the machine that is being measured.
package collect

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/bench/lab"
)

const (
	every     = 50 * time.Millisecond // datagrams are fetched: what arrival times are exact to
	buffer    = 256 << 20             // bytes, for what arrives in between
	mostOfOne = 1 << 16               // bytes of a datagram
	chunk     = 4 << 20               // bytes that are allocated at a time
	port      = 2055
)

// Datagram is one that was received.
type Datagram struct {
	At   time.Time // when it was fetched
	From netip.AddrPort
	Data []byte
}

// Collector receives datagrams in a router.
type Collector struct {
	fd        int
	datagrams []Datagram
	room      []byte
	stop      chan struct{}
	done      chan error
}

// Open binds a UDP port of the router's loopback interface.
func Open(router *lab.Namespace) (*Collector, error) {
	c := &Collector{room: make([]byte, chunk), stop: make(chan struct{}), done: make(chan error, 1)}
	if err := router.Do(c.bind); err != nil {
		return nil, fmt.Errorf("collect: %w", err)
	}
	go func() { c.done <- c.receive() }()
	return c, nil
}

// Address is where programs of the router can export to.
func Address() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

func (c *Collector) bind() (err error) {
	c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	err = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer)
	if err == nil {
		err = unix.Bind(c.fd, &unix.SockaddrInet4{Port: port, Addr: Address().Addr().As4()})
	}
	if err != nil {
		unix.Close(c.fd)
	}
	return err
}

// Close returns what was received up to now. It must be called once.
func (c *Collector) Close() ([]Datagram, error) {
	close(c.stop)
	err := <-c.done
	unix.Close(c.fd)
	return c.datagrams, err
}

func (c *Collector) receive() error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for stopped := false; !stopped; {
		select {
		case <-ticker.C:
		case <-c.stop:
			stopped = true
		}
		if err := c.fetch(); err != nil {
			return err
		}
	}
	return nil
}

// fetch reads all that has arrived.
func (c *Collector) fetch() error {
	now := time.Now()
	for {
		if len(c.room) < mostOfOne {
			c.room = make([]byte, chunk)
		}
		n, from, err := unix.Recvfrom(c.fd, c.room, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return err
		}
		d := Datagram{At: now, Data: c.room[:n:n]}
		if a, ok := from.(*unix.SockaddrInet4); ok {
			d.From = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
		}
		c.datagrams = append(c.datagrams, d)
		c.room = c.room[n:]
	}
}
