package ctnetlink

import (
	"fmt"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

const groupDestroy = 3 // NFNLGRP_CONNTRACK_DESTROY

// Options of the sockets.
type Options struct {
	// NetNS is a file descriptor of the network namespace to read; 0 means
	// the calling thread's own.
	NetNS int
	// ReceiveBuffer is the event socket's, in bytes. It may exceed
	// net.core.rmem_max where CAP_NET_ADMIN holds in the initial user namespace.
	ReceiveBuffer int
	// Reliable has the kernel repeat a DESTROY that found the buffer full,
	// until it fits. Until then the entry counts: a reader that stalls keeps the
	// router from accepting connections.
	Reliable bool
}

// Open subscribes to the end of every entry and prepares for dumps. From its
// return on no end goes unseen, short of overruns.
func Open(o Options, clock conntrack.Clock) (*Reader, error) {
	events, err := openEvents(o)
	if err != nil {
		return nil, fmt.Errorf("conntrack events: %w", err)
	}
	dumps, err := openSocket(o.NetNS, 1, dumpBuffer, plain)
	if err != nil {
		events.Close()
		return nil, fmt.Errorf("conntrack dump: %w", err)
	}
	r := NewReader(events, dumps, clock)
	r.options, r.opened, r.Buckets = o, true, buckets
	return r, nil
}

func buckets() int {
	n, _ := kernel.ReadSysctl("buckets") // 0 where the module is not loaded yet
	return n
}

// Reliable reports whether the kernel repeats what it can't deliver: as asked for, until
// Watchdog ends it.
func (r *Reader) Reliable() bool { return r.options.Reliable }

// EnableReliable has the kernel repeat, from now on, the ends that find the buffer full, as with
// Options.Reliable: for the last dump, which evicts all that has expired. Where the
// watchdog has ended that, it stays so.
func (r *Reader) EnableReliable() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.events.(*socket)
	if !ok || r.options.Reliable || r.heartbeat.stalled.Load() {
		return nil
	}
	r.countDrops(false) // those before are lost
	if err := s.repeat(true); err != nil {
		return err
	}
	r.options.Reliable = true
	return nil
}

// ReceiveBuffer returns the size in force of the event socket's buffer, in bytes as
// the kernel charges them (some 1280 B per event), 0 where it isn't known.
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

// Reopen replaces the event socket of a Reader that Open returned, after an error.
// What ended meanwhile went unseen. Reliable delivery that Watchdog has ended stays so.
func (r *Reader) Reopen() error {
	fresh, err := openEvents(r.options)
	if err != nil {
		return fmt.Errorf("conntrack events: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.events.Close() // broken, or closed already
	r.events, r.drops = fresh, 0
	r.heartbeat.drops.Store(0)
	if r.heartbeat.stalled.Load() {
		return fresh.repeat(false)
	}
	return nil
}

func openEvents(o Options) (*socket, error) {
	return openSocket(o.NetNS, eventBatch, eventBuffer, o.subscribe)
}

// subscribe enlarges the buffer first: events come from the moment of joining.
func (o *Options) subscribe(conn *netlink.Conn) error {
	if err := conn.SetReadBuffer(o.ReceiveBuffer); err != nil {
		return err
	}
	// An overrun must not stop the reader; the drops are counted elsewhere.
	if err := conn.SetOption(netlink.NoENOBUFS, true); err != nil {
		return err
	}
	if err := conn.SetOption(netlink.BroadcastError, o.Reliable); err != nil {
		return err
	}
	return conn.JoinGroup(groupDestroy)
}

// plain leaves a socket as it is.
func plain(*netlink.Conn) error { return nil }

// ReceiveBuffer returns how many bytes the kernel grants to an Open that asks for
// want. What is in force is the double, of which the kernel keeps half to itself.
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
