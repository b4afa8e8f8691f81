package ctnetlink

import (
	"fmt"
	"os"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

const (
	groupNew     = 1 // NFNLGRP_CONNTRACK_NEW
	groupDestroy = 3 // NFNLGRP_CONNTRACK_DESTROY
)

// Options configure the sockets of Open.
type Options struct {
	// NetNS is a file descriptor of the network namespace to read; 0 means the calling
	// thread's own.
	NetNS int
	// ReceiveBuffer is the size of the event socket's buffer, in bytes. It may exceed
	// net.core.rmem_max with CAP_NET_ADMIN in the initial user namespace.
	ReceiveBuffer int
	// Reliable makes the kernel repeat a DESTROY that found the buffer full, until it fits.
	// The entry stays in the table until then: a reader that stalls would keep the router
	// from accepting connections.
	Reliable bool
}

// Open subscribes to the end of every entry and prepares for dumps. After it returns, every end
// is reported, unless the buffer overruns.
func Open(o Options, clock conntrack.Clock) (*Reader, error) {
	events, err := openEvents(o)
	if err != nil {
		return nil, fmt.Errorf("conntrack events: %w", err)
	}
	dumps, err := o.dial(Dumps)
	if err != nil {
		events.Close()
		return nil, fmt.Errorf("conntrack dump: %w", err)
	}
	r := NewReader(events, dumps, clock)
	r.options, r.Buckets, r.Dial = o, buckets, o.dial
	return r, nil
}

// dial opens a socket for dumps and the like.
func (o Options) dial(p Purpose) (Socket, error) {
	switch p {
	case ShortDumps:
		return openSocket(o.NetNS, 1, shortBuffer(), noSetup)
	case Questions:
		return openSocket(o.NetNS, questionBatch, eventBuffer, noSetup)
	case Begins:
		return openSocket(o.NetNS, eventBatch, eventBuffer, subscribeBegins)
	default:
		return openSocket(o.NetNS, 1, dumpBuffer, noSetup)
	}
}

// shortBuffer is the smallest buffer that holds any chunk: the kernel fills a page, or 8 KiB
// where pages are larger (NLMSG_GOODSIZE).
func shortBuffer() int { return min(os.Getpagesize(), 8<<10) }

// subscribeBegins sets up a socket of Begins. Without NETLINK_NO_ENOBUFS an overrun is an error.
func subscribeBegins(conn *netlink.Conn) error {
	if err := conn.SetReadBuffer(beginsBuffer); err != nil {
		return err
	}
	return conn.JoinGroup(groupNew)
}

func buckets() int {
	n, _ := kernel.ReadSysctl("buckets") // 0 where the module is not loaded yet
	return n
}

// Reliable reports whether the kernel repeats events that it can't deliver. Watchdog may end that.
func (r *Reader) Reliable() bool { return r.options.Reliable }

// EnableReliable turns on Options.Reliable, unless Watchdog has ended it. It is for the last dump,
// which evicts all expired entries at once.
func (r *Reader) EnableReliable() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.events.(*socket)
	if !ok || r.options.Reliable || r.heartbeat.stalled.Load() {
		return nil
	}
	r.countDrops(false) // earlier ones are lost
	if err := s.setReliable(true); err != nil {
		return err
	}
	r.options.Reliable = true
	return nil
}

// ReceiveBuffer returns the actual size of the event socket's buffer, in bytes as the kernel
// charges them (some 1280 B per event), or 0 if it isn't known.
func (r *Reader) ReceiveBuffer() int {
	s, ok := r.events.(*socket)
	if !ok {
		return 0
	}
	n, err := s.readBuffer()
	if err != nil {
		return 0
	}
	return n
}

// Reopen replaces the event socket of a Reader that Open returned, after an error. Ends in between
// are lost. If Watchdog has ended reliable delivery, it stays off.
func (r *Reader) Reopen() error {
	fresh, err := openEvents(r.options)
	if err != nil {
		return fmt.Errorf("conntrack events: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.events.Close() // it may be closed already
	r.events, r.drops = fresh, 0
	r.heartbeat.drops.Store(0)
	r.heartbeat.beats.Add(1) // for what passed before, the reader had nothing to read
	if r.heartbeat.stalled.Load() {
		return fresh.setReliable(false)
	}
	return nil
}

func openEvents(o Options) (*socket, error) {
	return openSocket(o.NetNS, eventBatch, eventBuffer, o.subscribe)
}

// subscribe sets up the event socket. It enlarges the buffer before events may arrive.
func (o *Options) subscribe(conn *netlink.Conn) error {
	if err := conn.SetReadBuffer(o.ReceiveBuffer); err != nil {
		return err
	}
	// An overrun must not stop the reader; countDrops counts the drops.
	if err := conn.SetOption(netlink.NoENOBUFS, true); err != nil {
		return err
	}
	if err := conn.SetOption(netlink.BroadcastError, o.Reliable); err != nil {
		return err
	}
	return conn.JoinGroup(groupDestroy)
}

// noSetup leaves a socket as it is.
func noSetup(*netlink.Conn) error { return nil }

// ReceiveBuffer returns how many bytes of want the kernel grants to Open. The kernel doubles the
// size, and reserves half of it for its own overhead.
func ReceiveBuffer(want int) (int, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetReadBuffer(want); err != nil {
		return 0, err
	}
	n, err := conn.ReadBuffer()
	return n / 2, err
}
