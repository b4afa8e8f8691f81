package host

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jsimonetti/rtnetlink/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

const (
	// readInterval is how often all neighbours are read, in case notifications miss some.
	readInterval = time.Minute
	// readPause is the least time between two such readings.
	readPause = time.Second
	// bufferSize holds some 800 notifications. If they are more, all neighbours are read.
	bufferSize = 1 << 20
	// drainMost bounds the notifications that are read at once: a caller of MAC waits for
	// that.
	drainMost = 1024
)

// NeighbourStats counts what Neighbours does. Any goroutine may read it.
type NeighbourStats struct {
	Known    atomic.Int64
	Failures atomic.Uint64 // readings that failed and are tried again
}

// Neighbours knows the Ethernet addresses of the hosts on the router's own networks:
// the kernel's tables of ARP and IPv6 neighbour discovery, and those that left recently. The
// kernel sends a notification of each change.
type Neighbours struct {
	Stats NeighbourStats

	clock   conntrack.Clock
	list    func() ([]rtnetlink.NeighMessage, error)
	receive func(b []byte) (n int, err error) // a datagram of notifications, or EAGAIN
	conns   []interface{ Close() error }
	events  *netlink.Conn // nil in tests
	raw     syscall.RawConn
	version atomic.Uint32 // of table

	mu      sync.Mutex // guards what follows
	table   table
	buffer  []byte
	drained int64 // when notifications were last read, monotonic
	missed  bool  // the kernel had to drop some
	listing bool  // all are being read; notifications wait until that is done
}

// OpenNeighbours reads the tables of the calling thread's network namespace.
func OpenNeighbours(clock conntrack.Clock) (*Neighbours, error) {
	lists, err := rtnetlink.Dial(nil)
	if err != nil {
		return nil, err
	}
	events, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{Groups: unix.RTMGRP_NEIGH})
	if err != nil {
		return nil, errors.Join(err, lists.Close())
	}
	_ = events.SetReadBuffer(bufferSize) // a smaller one works, too
	n := newNeighbours(clock, lists.Neigh.List)
	n.events, n.conns = events, append(n.conns, events, lists)
	if n.raw, err = events.SyscallConn(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	n.receive = receiver(n.raw)
	if err := n.read(); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func newNeighbours(
	clock conntrack.Clock, list func() ([]rtnetlink.NeighMessage, error),
) *Neighbours {
	return &Neighbours{
		clock: clock, list: list, table: newTable(), buffer: make([]byte, 1<<15),
		receive: func([]byte) (int, error) { return 0, unix.EAGAIN },
	}
}

// receiver returns a function that reads from a socket without waiting. It is bound once, so
// that a call allocates nothing.
func receiver(raw syscall.RawConn) func([]byte) (int, error) {
	var (
		buffer []byte
		n      int
		err    error
	)
	read := func(fd uintptr) { n, _, err = unix.Recvfrom(int(fd), buffer, unix.MSG_DONTWAIT) }
	return func(b []byte) (int, error) {
		buffer = b
		if failed := raw.Control(read); failed != nil {
			return 0, failed
		}
		return n, err
	}
}

// Close closes the sockets. Follow must have ended.
func (n *Neighbours) Close() (err error) {
	for _, c := range n.conns {
		err = errors.Join(err, c.Close())
	}
	return err
}

// Follow applies changes until ctx is done.
func (n *Neighbours) Follow(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = n.events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		_ = n.events.SetReadDeadline(time.Now().Add(readInterval))
		if ctx.Err() != nil {
			return
		}
		// It returns when some were missed, at the deadline, and where the socket fails.
		_ = n.raw.Read(func(uintptr) (done bool) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.drain()
			return n.missed
		})
		if ctx.Err() != nil {
			return
		}
		if n.read() != nil {
			n.Stats.Failures.Add(1)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(readPause):
		}
	}
}

// MAC returns the Ethernet address by which an interface reaches a, where that is a
// neighbour. Notifications up to now, of the monotonic clock, are applied first. Any
// goroutine may call it, and it doesn't block.
func (n *Neighbours) MAC(a *conntrack.Addr, index uint32, now int64) MAC {
	return n.MACAt(a, index, now, now)
}

// MACAt is as MAC, but the address may have been another neighbour's at the earlier time at.
func (n *Neighbours) MACAt(a *conntrack.Addr, index uint32, at, now int64) MAC {
	n.mu.Lock()
	defer n.mu.Unlock()
	mac := n.table.mac(a, index, at)
	if mac == (MAC{}) && n.drained < now {
		n.drain()
		mac = n.table.mac(a, index, at)
	}
	return mac
}

// Version returns a number that changes whenever MAC may answer differently, as far as notifications
// have been applied. Any goroutine may call it.
func (n *Neighbours) Version() uint32 { return n.version.Load() }

// Interface returns the ifIndex of the interface that reaches a, if a is a neighbour behind one
// only. Any goroutine may call it, and it doesn't block.
func (n *Neighbours) Interface(a *conntrack.Addr) (index uint32, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.table.index(a)
}

// read reads the tables as they are now. Notifications that arrive meanwhile wait: each
// is newer than the reading, or repeats it.
func (n *Neighbours) read() error {
	n.mu.Lock()
	n.listing, n.missed = true, false
	n.mu.Unlock()
	all, err := n.list()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.listing = false
	if err != nil {
		n.missed = true
		return err
	}
	now := n.clock().Mono
	for i := range all {
		n.apply(&all[i], now)
	}
	n.table.endReading(now)
	n.version.Store(n.table.version)
	n.drain()
	n.Stats.Known.Store(int64(len(n.table.all)))
	return nil
}

// drain applies the notifications that have arrived. It doesn't wait.
func (n *Neighbours) drain() {
	if n.listing {
		return
	}
	now := n.clock().Mono
	n.drained = now
	for range drainMost {
		size, err := n.receive(n.buffer)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			n.missed = true
		case err == nil:
			n.take(n.buffer[:size], now)
		case !errors.Is(err, unix.EINTR):
			n.Stats.Known.Store(int64(len(n.table.all)))
			return
		}
	}
}

// take applies a datagram of notifications.
func (n *Neighbours) take(b []byte, now int64) {
	messages, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		n.missed = true // all are read instead
	}
	for _, m := range messages {
		var neigh rtnetlink.NeighMessage
		switch {
		case m.Header.Type != unix.RTM_NEWNEIGH && m.Header.Type != unix.RTM_DELNEIGH:
			continue
		case neigh.UnmarshalBinary(m.Data) != nil:
			n.missed = true
			continue
		case m.Header.Type == unix.RTM_DELNEIGH:
			neigh.State = unix.NUD_FAILED
		}
		n.apply(&neigh, now)
	}
}

// apply applies the kernel's state of one neighbour.
func (n *Neighbours) apply(m *rtnetlink.NeighMessage, now int64) {
	if m.Attributes == nil {
		return
	}
	ip, ok := netip.AddrFromSlice(m.Attributes.Address)
	if !ok { // of a bridge's ports
		return
	}
	a := conntrack.AddrFrom(ip)
	if mac, ok := macOf(m); ok {
		n.table.set(a, m.Index, mac, now)
	} else {
		n.table.leave(&a, m.Index, now)
	}
	n.version.Store(n.table.version)
}

// macOf returns the Ethernet address of a neighbour that has one.
func macOf(m *rtnetlink.NeighMessage) (mac MAC, ok bool) {
	const unresolved = unix.NUD_INCOMPLETE | unix.NUD_FAILED | unix.NUD_NOARP
	if m.State&unresolved != 0 || len(m.Attributes.LLAddress) != len(mac) {
		return mac, false
	}
	copy(mac[:], m.Attributes.LLAddress)
	return mac, mac != MAC{}
}
